package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/node"
	"github.com/tributary-sync/tributary/syncerr"
)

func (a *app) initCommand() *cobra.Command {
	var o config.Options
	var dir string
	c := &cobra.Command{
		Use: "init", Short: "Make a new node: configuration, keys and database", Args: takes(0, 0, ""),
		Long:    "Init writes tributary.yaml, the node's keys, the operator's credential and an empty database. It overwrites nothing.",
		Example: "  tributary init --name district --listen :8080\n  tributary init --name clinic-a --parent https://district.example",
		RunE: func(c *cobra.Command, _ []string) error {
			path := a.configPath
			if path == "" || c.Flags().Changed("dir") {
				path = filepath.Join(dir, "tributary.yaml")
			}
			if o.Name == "" {
				o.Name = hostName()
			}
			cfg, err := a.initialise(c.Context(), path, o)
			if err != nil {
				return err
			}
			return a.nextSteps(cfg, path)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Name, "name", "", "what the node is called, for example clinic-a (default: the name of this machine)")
	f.StringVar(&o.Parent, "parent", "", "URL of the parent; none for the top of a tree")
	f.StringVar(&o.Listen, "listen", "", "host:port on which the node answers (default 127.0.0.1:8080; :8080 for every network)")
	f.StringVar(&dir, "dir", ".", "folder for tributary.yaml and the data")
	return c
}

func hostName() string {
	name, err := os.Hostname()
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	if err != nil || !fhir.ValidID(name) {
		return "node"
	}
	return name
}

// initialise writes the configuration and makes the node. What it wrote is taken back where the node cannot be made, so that it
// can be tried again.
func (a *app) initialise(ctx context.Context, path string, o config.Options) (config.Config, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return config.Config{}, syncerr.New(syncerr.Usage, "init", "%w", err).WithHint("Choose a folder that you may write to with --dir")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	switch {
	case errors.Is(err, fs.ErrExist):
		return config.Config{}, syncerr.New(syncerr.Conflict, "init", "there is a %s already, nothing was changed", path).
			WithHint("Use it with `tributary serve`, or make the new node in another folder with --dir")
	case err != nil:
		return config.Config{}, syncerr.New(syncerr.Usage, "init", "%w", err).WithHint("Choose a folder that you may write to with --dir")
	}
	_, err = f.Write(config.Template(o))
	cfg := config.Config{}
	if err = syncerr.Wrap(syncerr.StorageFull, "init", errors.Join(err, f.Close())); err == nil {
		cfg, err = config.Load(path, a.env)
	}
	if err == nil {
		err = syncerr.Wrap(syncerr.Usage, "init", os.MkdirAll(cfg.Node.DataDir, 0o750))
	}
	if err == nil {
		err = node.Init(ctx, cfg, node.Deps{Clock: a.clock, Version: a.version})
	}
	if err != nil {
		return cfg, errors.Join(err, os.Remove(path))
	}
	return cfg, nil
}

func (a *app) nextSteps(cfg config.Config, path string) error {
	key, err := publicKey(cfg)
	if err != nil {
		return err
	}
	flag := ""
	if path != "tributary.yaml" {
		flag = " --config " + path
	}
	a.say("Node %s is made: %s, data in %s.\nIts public key is %s\n\nNext:", cfg.Node.Name, path, cfg.Node.DataDir, key)
	if cfg.Parent.URL == "" {
		a.say("  1. tributary serve%s", flag)
		a.say("  2. open %s in a browser", cfg.BaseURL())
		a.say("  3. tributary child add NAME%s      for each node below this one, or tributary load PATH%s for FHIR files", flag, flag)
		return nil
	}
	a.say("  1. at the parent: tributary child add %s --key %s", cfg.Node.Name, key)
	a.say("     and write the credential that it prints into %s", cfg.Parent.CredentialFile)
	a.say("  2. tributary serve%s", flag)
	a.say("  3. tributary doctor%s      says whether the parent accepts this node; %s shows how it stands", flag, cfg.BaseURL())
	return nil
}

// publicKey returns the public half of the node's Ed25519 key (RFC 8032), as the parent stores it.
func publicKey(cfg config.Config) (string, error) {
	path := filepath.Join(cfg.Node.DataDir, "node.key")
	b, err := os.ReadFile(path)
	if err != nil {
		return "", syncerr.Wrap(syncerr.Usage, "read "+path, err)
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return "", syncerr.New(syncerr.Usage, "read "+path, "it is damaged").WithHint("Restore the file from a backup")
	}
	return base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)), nil
}
