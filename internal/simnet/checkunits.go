package simnet

import (
	"fmt"

	"github.com/tributary-sync/tributary/audit"
	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/version"
)

// checkUnits: a transaction arrives whole (core-review rule 9): at every node the rows by which its members came stand together
// and say how many they are. Members that were rivals of other copies have fates of their own, so only transactions are looked
// at whose keys never met one; and in a catch-up copies travel by themselves.
func (n *Net) checkUnits(views []view) []error {
	if !n.plain() || !n.opts.Met {
		return nil
	}
	apart := map[fhir.Key]bool{}
	for _, v := range views {
		for _, a := range v.audits {
			switch a.Outcome {
			case audit.Held, audit.Deferred, audit.Decided, audit.Parked, audit.Refused, audit.Equal:
				apart[a.Key] = true
			}
		}
	}
	type member struct {
		key fhir.Key
		ver version.Version
	}
	units := map[string][]member{}
	for i, v := range views {
		for _, row := range v.rows {
			if row.Unit != "" && n.nodes[i].own[row.Stamp.Version.Replica] && row.Stamp.Origin == row.Stamp.Version {
				units[row.Unit] = append(units[row.Unit], member{row.Key, row.Stamp.Version})
			}
		}
	}
	var wrong []error
	for unit, members := range units {
		clean := true
		for _, m := range members {
			clean = clean && !apart[m.key]
		}
		if !clean {
			continue
		}
		for i, v := range views {
			if n.nodes[i].fetches() {
				continue // what a copy refers to is asked for, and comes alone
			}
			came := 0
			for _, m := range members {
				for _, row := range v.rows {
					if row.Key == m.key && row.Stamp.Vector.Contains(m.ver) {
						if row.Unit == unit && row.UnitSize == len(members) && row.Stamp.Version == m.ver {
							came++
						}
						break
					}
				}
			}
			if came != len(members) {
				wrong = append(wrong, fmt.Errorf("%s: of the transaction %s with %d members %d came together (core-review rule 9)", n.nodes[i].name, unit, len(members), came))
			}
		}
	}
	return wrong
}

// fetches reports whether the node, or one above from which it gets what that has, asks for what copies refer to.
func (x *Node) fetches() bool {
	for ; x != nil; x = x.parent {
		if x.waits == config.FetchReferences {
			return true
		}
	}
	return false
}
