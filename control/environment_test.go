package control_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tributary-sync/tributary/config"
	"github.com/tributary-sync/tributary/control"
)

func TestWays(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).UnixMilli()
	day := (24 * time.Hour).Milliseconds()
	const host = "district.example:443"
	tests := []struct {
		name        string
		reach       control.Route
		check       string
		level       control.Level
		detail, tip string
	}{
		{"all is well", control.Route{Host: host, Addresses: []string{"10.0.0.1"}, Secure: true, Issuer: "CA", Expires: now + 90*day}, "certificate parent", control.OK, "issued by CA", ""},
		{"where it is", control.Route{Host: host, Addresses: []string{"10.0.0.1"}, Secure: true, Expires: now + 90*day}, "network parent", control.OK, "10.0.0.1", ""},
		{"a name that is not known", control.Route{Host: host, Failed: "resolve", Err: errors.New("no such host")}, "network parent", control.Fail, "no such host", "resolv.conf"},
		{"nobody there", control.Route{Host: host, Failed: "connect", Err: errors.New("refused")}, "network parent", control.Fail, "takes no connection", "firewall"},
		{"a proxy that refuses", control.Route{Host: host, Proxy: "p:3128", Failed: "connect", Err: errors.New("407")}, "network parent", control.Fail, "the proxy p:3128", "HTTPS_PROXY"},
		{"through a proxy", control.Route{Host: host, Proxy: "p:3128"}, "network parent", control.OK, "through the proxy p:3128", ""},
		{"soon", control.Route{Host: host, Secure: true, Expires: now + 5*day}, "certificate parent", control.Warn, "ends in 5 days", "renew"},
		{"ended", control.Route{Host: host, Secure: true, Expires: now - day, Failed: "tls", Err: errors.New("expired")}, "certificate parent", control.Fail, "ended on 2026-02-28", "clock"},
		{"not trusted", control.Route{Host: host, Secure: true, Expires: now + 90*day, Failed: "tls", Err: errors.New("unknown authority")}, "certificate parent", control.Fail, "unknown authority", "update-ca-certificates"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Node.Name, cfg.Node.DataDir, cfg.Parent.URL = "a", t.TempDir(), "https://district.example"
			asked := ""
			reach := func(_ context.Context, address string) control.Route {
				asked += address
				return tt.reach
			}
			found := false
			for _, k := range control.Environment(t.Context(), cfg, reach, now) {
				if k.Level == control.Fail && k.Hint == "" {
					t.Errorf("it is not said what to do: %+v", k)
				}
				if k.Name == tt.check {
					found = true
					if k.Level != tt.level || !strings.Contains(k.Detail, tt.detail) || !strings.Contains(k.Hint, tt.tip) {
						t.Errorf("got %+v", k)
					}
				}
			}
			if !found || asked != "https://district.example" {
				t.Errorf("no check %s, or %q was asked", tt.check, asked)
			}
		})
	}
}

func TestWaysToAllPeers(t *testing.T) {
	cfg := config.Default()
	cfg.Node.URL = "https://clinic.example"
	cfg.Servers = map[string]config.Server{"emr": {OpenMRS: "http://emr/openmrs"}, "registry": {Changes: config.FromList, Feed: []string{"https://r.example/l"}}}
	cfg.SData = map[string]config.SDataTarget{"hq": {URL: "https://hq.example/sdata"}}
	var asked []string
	control.Environment(t.Context(), cfg, func(_ context.Context, address string) control.Route {
		asked = append(asked, address)
		return control.Route{}
	}, 0)
	if got, want := strings.Join(asked, " "), "http://emr/openmrs/ws/fhir2/R4 https://r.example/l https://hq.example/sdata https://clinic.example"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
