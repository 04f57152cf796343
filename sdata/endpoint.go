package sdata

import (
	"strings"

	"github.com/google/uuid"

	"github.com/tributary-sync/tributary/version"
)

// nodeEndpoint begins the endpoint of a replica of nodes. A digest names replicas that nobody here can reach, so their endpoints are names that
// every node writes alike, whichever address they have.
const nodeEndpoint = "urn:uuid:"

// ReplicaOf returns the replica under which the changes of an endpoint stand: that which its name has, else one that every node makes of the
// address in the same way (RFC 9562 section 5.5).
func ReplicaOf(endpoint string) version.Replica {
	if id, ok := strings.CutPrefix(strings.ToLower(endpoint), nodeEndpoint); ok && version.Replica(id).Valid() {
		return version.Replica(id)
	}
	return version.Replica(uuid.NewSHA1(uuid.NameSpaceURL, []byte(endpoint)).String())
}

// foreign reports whether an endpoint is the address of a peer that is no node: it has to be remembered, for its replica does not tell it.
func foreign(endpoint string) bool {
	return !strings.HasPrefix(strings.ToLower(endpoint), nodeEndpoint) || !version.Replica(strings.ToLower(endpoint[len(nodeEndpoint):])).Valid()
}

// UUIDOf returns the UUID by which peers know a resource: its id where that is one, else one made of both.
func UUIDOf(resourceType, id string) string {
	if version.Replica(id).Valid() {
		return id
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("urn:tributary:"+resourceType+"/"+id)).String()
}

// RunID returns the id under which a run stands in the audit: of its name and stamp, which make it unique (4.1). It is empty where the run has
// neither.
func RunID(name, stamp string) string {
	if name == "" && stamp == "" {
		return ""
	}
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name+"\n"+stamp)).String()
}
