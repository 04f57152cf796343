package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/syncerr"
)

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the node until it is told to stop", Args: takes(0, 0, ""),
		Long: "Serve answers applications, children and operators, and syncs with the parent. Ctrl-C or SIGTERM stops it in order.",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.configuration()
			if err != nil {
				return err
			}
			return a.serve(c.Context(), cfg)
		},
	}
}

func (a *app) serve(ctx context.Context, cfg config.Config) (err error) {
	log := a.logger(cfg)
	defer node.FitRuntime(a.has)()
	file, err := config.Open(a.configPath, a.env)
	if err != nil {
		return err
	}
	release, err := lock(ctx, cfg, func() bool { return answers(ctx, dialAddress(cfg.Node.Listen)) })
	if err != nil {
		return err
	}
	if release == nil {
		return syncerr.New(syncerr.Conflict, "serve", "node %s runs already, and answers at %s", cfg.Node.Name, cfg.Node.Listen).
			WithHint("`tributary status` says how it stands; stop it first if this one is to take its place")
	}
	defer func() { err = errors.Join(err, release()) }()
	n, err := node.New(ctx, cfg, node.Deps{Clock: a.clock, Log: log, Version: a.version, File: file})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := n.Close(); err == nil {
			err = cerr
		}
	}()
	l, err := node.Listen(cfg)
	if err != nil {
		return err
	}
	for _, w := range a.warnings(cfg) {
		log.Warn("configuration", "warning", w)
	}
	a.say("Node %s answers at %s (dashboard there, FHIR at %s/fhir/R4). Ctrl-C stops it.", cfg.Node.Name, cfg.BaseURL(), cfg.BaseURL())
	log.Info("node started", "node", cfg.Node.Name, "listen", l.Addr().String(), "parent", cfg.Redacted().Parent.URL, "version", a.version)
	err = n.Run(ctx, l)
	log.Info("node stopped", "node", cfg.Node.Name)
	if err != nil && ctx.Err() == nil {
		return syncerr.Wrap(syncerr.Internal, "serve", err)
	}
	return nil
}

// has reports whether the environment has a variable.
func (a *app) has(variable string) bool {
	return slices.ContainsFunc(a.env, func(e string) bool { return strings.HasPrefix(e, variable+"=") })
}

// logger writes as log.level and log.format say to standard error.
func (a *app) logger(cfg config.Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		level = slog.LevelInfo // the configuration was checked; this is for one that was made in the program
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.errors, opts))
	}
	return slog.New(slog.NewTextHandler(a.errors, opts))
}
