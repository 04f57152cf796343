package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/syncerr"
)

// machinery is what `tributary service` works with; tests have their own.
type machinery struct {
	units string // folder of systemd's own units
	live  string // it exists where systemd runs the machine
	root  bool
	run   func(ctx context.Context, name string, args ...string) (string, error)
}

func (a *app) machinery() machinery {
	if a.service.run != nil {
		return a.service
	}
	return machinery{
		units: "/etc/systemd/system", live: "/run/systemd/system", root: os.Geteuid() == 0,
		run: func(ctx context.Context, name string, args ...string) (string, error) {
			out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
			if err != nil {
				err = syncerr.New(syncerr.Unavailable, name+" "+strings.Join(args, " "), "%w: %s", err, strings.Join(strings.Fields(string(out)), " "))
			}
			return string(out), err
		},
	}
}

const unitName = "tributary.service"

type installing struct {
	user   string
	dryRun bool
}

func (a *app) serviceCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "service", Short: "Let systemd run the node: install, uninstall, status",
		Example: "  tributary service install --config /etc/tributary/tributary.yaml\n  tributary service status",
	})
	var o installing
	install := &cobra.Command{
		Use: "install", Short: "Run the node at every start of this machine, as a user of its own", Args: takes(0, 0, ""),
		Long: "Install writes a unit for systemd, makes the user that runs the node if there is none, gives that user the node's folder, and starts the node.\n" +
			"The unit lets the node write into its own folders only. With --dry-run it only prints the unit.",
		Example: "  tributary service install --config /etc/tributary/tributary.yaml --dry-run\n  sudo tributary service install --config /etc/tributary/tributary.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.configuration()
			if err != nil {
				return err
			}
			path, err := a.configFile()
			if err != nil {
				return err
			}
			return a.install(c.Context(), cfg, path, o)
		},
	}
	install.Flags().StringVar(&o.user, "user", "tributary", "the user that runs the node")
	install.Flags().BoolVar(&o.dryRun, "dry-run", false, "print the unit, and do nothing")
	uninstall := &cobra.Command{
		Use: "uninstall", Short: "Stop the node and take the unit away; the data stay", Args: takes(0, 0, ""),
		Example: "  sudo tributary service uninstall",
		RunE:    func(c *cobra.Command, _ []string) error { return a.uninstall(c.Context()) },
	}
	status := a.listing(&cobra.Command{
		Use: "status", Short: "Say whether systemd runs the node", Args: takes(0, 0, ""),
		Long:    "Status says whether the unit is installed, starts with the machine, and runs. Exit code 3 says that it does not run.",
		Example: "  tributary service status",
		RunE:    func(c *cobra.Command, _ []string) error { return a.serviceStatus(c.Context()) },
	})
	c.AddCommand(install, uninstall, status)
	return c
}

// configFile returns the absolute path of the configuration file.
func (a *app) configFile() (string, error) {
	path := a.configPath
	if path == "" {
		var err error
		if path, err = config.Find(a.env); err != nil {
			return "", err
		}
	}
	path, err := filepath.Abs(path)
	return path, syncerr.Wrap(syncerr.Usage, "read configuration", err)
}

// needsSystemd refuses where there is none.
func (m machinery) needsSystemd(op string) error {
	if _, err := os.Stat(m.live); runtime.GOOS == "linux" && err == nil {
		return nil
	}
	hint := "Let the machine's own service manager run `tributary serve --config FILE`, and start it again when it ends"
	switch runtime.GOOS {
	case "windows":
		hint = "Let the Task Scheduler run `tributary serve --config FILE` at startup, as a user of its own"
	case "darwin":
		hint = "Let launchd run `tributary serve --config FILE` (a plist in /Library/LaunchDaemons with KeepAlive)"
	}
	return syncerr.New(syncerr.Unsupported, op, "this machine is not run by systemd; nothing was changed").WithHint("%s", hint)
}

func (m machinery) needsRoot(op string) error {
	if m.root {
		return nil
	}
	return syncerr.New(syncerr.Denied, op, "only root may do this; nothing was changed").WithHint("Run it with sudo")
}

func (a *app) install(ctx context.Context, cfg config.Config, file string, o installing) error {
	const op = "service install"
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return syncerr.Wrap(syncerr.Internal, op, err)
	}
	text, err := unit(cfg, program, file, o.user)
	if err != nil {
		return err
	}
	if o.dryRun {
		a.say("%s", strings.TrimRight(text, "\n"))
		return nil
	}
	m := a.machinery()
	if err := errors.Join(m.needsSystemd(op), m.needsRoot(op)); err != nil {
		return err
	}
	path := filepath.Join(m.units, unitName)
	if have, err := os.ReadFile(path); err == nil && string(have) != text {
		a.note("%s is there already and is replaced.", path)
	}
	if _, err := user.Lookup(o.user); err != nil {
		if _, err := m.run(ctx, "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", cfg.Node.DataDir, "--shell", "/usr/sbin/nologin", o.user); err != nil {
			return err
		}
	}
	folder := filepath.Dir(cfg.Node.DataDir)
	for _, command := range [][]string{
		{"chown", "-R", o.user + ":", cfg.Node.DataDir}, {"chown", o.user + ":", folder}, {"chgrp", o.user, file}, {"chmod", "g+r", file},
	} {
		if _, err := m.run(ctx, command[0], command[1:]...); err != nil {
			return err
		}
	}
	if _, err := os.Stat(cfg.NoncePath()); err == nil {
		if _, err := m.run(ctx, "chown", o.user+":", cfg.NoncePath()); err != nil {
			return err
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return syncerr.Wrap(syncerr.Usage, op, err)
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", unitName}, {"restart", unitName}} {
		if _, err := m.run(ctx, "systemctl", args...); err != nil {
			return err
		}
	}
	a.say("%s runs node %s as user %s, now and at every start of this machine.\n`tributary service status` says whether it runs, `journalctl -u tributary` shows its log.", path, cfg.Node.Name, o.user)
	return nil
}

func (a *app) uninstall(ctx context.Context) error {
	const op = "service uninstall"
	m := a.machinery()
	if err := errors.Join(m.needsSystemd(op), m.needsRoot(op)); err != nil {
		return err
	}
	path := filepath.Join(m.units, unitName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return syncerr.New(syncerr.NotFound, op, "there is no %s", path).WithHint("`tributary service install` writes it")
	}
	if _, err := m.run(ctx, "systemctl", "disable", "--now", unitName); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return syncerr.Wrap(syncerr.Usage, op, err)
	}
	if _, err := m.run(ctx, "systemctl", "daemon-reload"); err != nil {
		return err
	}
	a.say("The node is stopped and %s is gone. Its configuration and data stay where they are.", path)
	return nil
}

type serviceState struct {
	Unit    string `json:"unit"`
	Enabled string `json:"enabled"`
	Active  string `json:"active"`
	Since   string `json:"since,omitempty"`
	PID     string `json:"pid,omitempty"`
}

func (a *app) serviceStatus(ctx context.Context) error {
	const op = "service status"
	m := a.machinery()
	if err := m.needsSystemd(op); err != nil {
		return err
	}
	path := filepath.Join(m.units, unitName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return syncerr.New(syncerr.NotFound, op, "there is no %s", path).WithHint("`tributary service install` writes it")
	}
	out, err := m.run(ctx, "systemctl", "show", unitName, "--property=UnitFileState,ActiveState,SubState,ActiveEnterTimestamp,MainPID")
	if err != nil {
		return err
	}
	s := serviceState{Unit: path}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "UnitFileState":
			s.Enabled = value
		case "ActiveState":
			s.Active = value + s.Active
		case "SubState":
			s.Active += " (" + value + ")"
		case "ActiveEnterTimestamp":
			s.Since = value
		case "MainPID":
			s.PID = strings.TrimPrefix(value, "0")
		}
	}
	if a.json {
		err = a.printJSON(s)
	} else {
		a.say("%s: %s, at the start of the machine: %s", s.Unit, s.Active, dash(s.Enabled))
		if s.PID != "" {
			a.say("Process %s, since %s", s.PID, s.Since)
		}
	}
	if err == nil && !strings.HasPrefix(s.Active, "active") {
		err = quietly{exitAttention}
	}
	return err
}

// unit returns the unit (systemd.service(5), systemd.exec(5)). All of the file system is read-only for the node but its own folders.
func unit(cfg config.Config, program, file, user string) (string, error) {
	const op = "service install"
	folder := filepath.Dir(cfg.Node.DataDir)
	writable := []string{cfg.Node.DataDir, folder}
	if cfg.Store.Driver == config.DriverSQLite {
		writable = append(writable, filepath.Dir(cfg.Store.DSN))
	}
	for _, shared := range []string{"/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib"} {
		if folder == shared {
			return "", syncerr.New(syncerr.Usage, op, "the data are in %s, and the node also writes a file beside that folder, into %s, which others use", cfg.Node.DataDir, shared).
				WithHint("Move the data one level deeper and set node.data_dir, for example /var/lib/tributary/data")
		}
	}
	home := "yes"
	for _, path := range append(writable, program, file) {
		if strings.ContainsAny(path, " \t\n\"'%$\\") {
			return "", syncerr.New(syncerr.Usage, op, "the path %q has a character that a unit cannot have", path).WithHint("Use a path of letters, digits, hyphens and dots")
		}
		for _, house := range []string{"/home/", "/root/", "/run/user/"} {
			if strings.HasPrefix(path, house) {
				home = "no"
			}
		}
	}
	temporary := "yes"
	for _, path := range append(writable, program, file) {
		if strings.HasPrefix(path, "/tmp/") || strings.HasPrefix(path, "/var/tmp/") {
			temporary = "no"
		}
	}
	capabilities := ""
	if port := cfg.Node.Listen[strings.LastIndexByte(cfg.Node.Listen, ':')+1:]; len(port) < 4 {
		capabilities = "CAP_NET_BIND_SERVICE" // a port below 1024
	}
	return fmt.Sprintf(`[Unit]
Description=Tributary, the FHIR sync node %[1]s
Documentation=man:tributary(1)
Wants=network-online.target
After=network-online.target mariadb.service mysql.service

[Service]
Type=exec
User=%[2]s
Group=%[2]s
ExecStart=%[3]s serve --config %[4]s
Restart=always
RestartSec=5
TimeoutStopSec=30
UMask=0077
LimitNOFILE=65536

NoNewPrivileges=yes
CapabilityBoundingSet=%[6]s
AmbientCapabilities=%[6]s
ProtectSystem=strict
ReadWritePaths=%[5]s
ProtectHome=%[7]s
PrivateTmp=%[8]s
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`, cfg.Node.Name, user, program, file, strings.Join(writable, " "), capabilities, home, temporary), nil
}
