package main

import (
	"context"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
)

const scopeHelp = "Scope is one or more of: a resource type (Patient), a type with the criteria of a FHIR search ('Patient?organization=Organization/1'), " +
	"or '*' for everything. Write it in quotes, because shells have a meaning of their own for * and ?."

func (a *app) deviceCommand() *cobra.Command {
	c := group(&cobra.Command{Use: "device", Short: "Admit, list or remove phones, scripts and dashboards that read by sessions"})
	add := a.listing(&cobra.Command{
		Use: "add NAME SCOPE...", Short: "Admit a device and print its credential", Args: takes(2, 100, "the device's name and what it may see"),
		Long: "Add admits a phone, script or dashboard that reads with POST /v2/sync/start, GET /v2/sync/{session}/queues/main and POST /v2/sync/ack, and " +
			"prints the credential that it needs. The credential is shown this once: only its hash is stored.\n\n" + scopeHelp,
		Example: "  tributary device add dashboard 'Encounter' > dashboard.token\n  tributary device add phone-7 'Patient?general-practitioner=Practitioner/7' Location",
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			d, err := l.AddDevice(ctx, args[0], args[1:])
			if err != nil {
				return typed(err)
			}
			if a.json {
				return a.printJSON(d)
			}
			a.say("%s", d.Credential) // alone on standard output, so that it can be written into a file
			a.note("Device %s is admitted. The line above is its credential, to be sent as Authorization: Bearer. It is not shown again.", d.Name)
			return nil
		}),
	})
	set := a.listing(&cobra.Command{
		Use: "set NAME SCOPE...", Short: "Change what a device may see", Args: takes(2, 100, "the device's name and what it may see"),
		Long: "Set changes what a device may see. At its next session it gets what it may see now, and what it may not see any more is deleted for it.\n\n" + scopeHelp,
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			d, err := l.SetDevice(ctx, args[0], args[1:])
			if err != nil {
				return typed(err)
			}
			if a.json {
				return a.printJSON(d)
			}
			a.say("Device %s may see %s.", d.Name, strings.Join(d.Scope, ", "))
			return nil
		}),
	})
	list := a.listing(&cobra.Command{
		Use: "list", Short: "List the devices", Args: takes(0, 0, ""),
		RunE: a.operator(func(ctx context.Context, l link, _ []string) error {
			devices, err := l.Devices(ctx)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(devices)
			}
			var rows []table.Row
			for _, d := range devices {
				scope := strings.Join(d.Scope, "\n")
				if len(d.Devices) == 0 {
					rows = append(rows, table.Row{d.Name, scope, dash(""), a.ago(0), dash("")})
				}
				for _, id := range d.Devices {
					rows = append(rows, table.Row{d.Name, scope, id.UUID, a.ago(id.LastSeen), number(uint64(id.Waiting))})
				}
			}
			a.table(table.Row{"Name", "May see", "Device id", "Last seen", "Waiting"}, rows, "There are no devices. `tributary device add NAME SCOPE` admits one.")
			return nil
		}),
	})
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Take a device's credential away; what is on it stays there", Args: takes(1, 1, "the device's name"),
		RunE: a.operator(func(ctx context.Context, l link, args []string) error {
			if err := l.RemoveDevice(ctx, args[0]); err != nil {
				return err
			}
			a.say("Device %s may no longer read from this node. What it has stored stays on it.", args[0])
			return nil
		}),
	}
	c.AddCommand(add, set, list, remove)
	return c
}
