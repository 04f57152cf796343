package main

import (
	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/config"
)

func (a *app) configCommand() *cobra.Command {
	c := group(&cobra.Command{Use: "config", Short: "Check or print the configuration, or change what is synchronised"})
	c.AddCommand(
		&cobra.Command{
			Use: "check", Short: "Say what is wrong with the configuration", Args: takes(0, 0, ""),
			Long: "Check reads the configuration file and the environment and says everything that is wrong with them, each with what to do.",
			RunE: func(*cobra.Command, []string) error {
				cfg, err := a.configuration()
				if err != nil {
					return err
				}
				for _, w := range a.warnings(cfg) {
					a.say("warning: %s", w)
				}
				a.say("The configuration of node %s is valid.", cfg.Node.Name)
				return nil
			},
		},
		a.listing(&cobra.Command{
			Use: "print", Short: "Print all settings as they are in force, without secrets", Args: takes(0, 0, ""),
			RunE: func(*cobra.Command, []string) error {
				cfg, err := a.configuration()
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(cfg.Redacted())
				}
				return cfg.Print(a.out)
			},
		}),
		a.configSyncCommand(),
	)
	return c
}

// warnings says what is allowed and still worth a look.
func (a *app) warnings(cfg config.Config) []string {
	var out []string
	if cfg.Parent.URL != "" {
		if _, warning, err := config.ReadCredential(cfg); err != nil {
			out = append(out, err.Error())
		} else if warning != "" {
			out = append(out, warning)
		}
	}
	if _, warning, err := config.ReadDSN(cfg); err != nil {
		out = append(out, err.Error())
	} else if warning != "" {
		out = append(out, warning)
	}
	return out
}
