package feed

// Estimate says how much of a resource type a peer would be given: the current copies that its knowledge does not contain.
type Estimate struct {
	Type    string `json:"type"`
	Copies  int64  `json:"copies"`
	Deleted int64  `json:"deleted,omitempty"` // of these, such as only tell that they are deleted
	Bytes   int64  `json:"bytes"`             // on the link, compressed, as samples say
}
