package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/syncerr"
)

func secretFile(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadCredential(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "parent.token")
	rows := []struct {
		name, path, env, want, warning, problem string
	}{
		{"file", secretFile(t, "\ufeff  s3cr3t\r\n", 0o600), "", "s3cr3t", "", ""},
		{"group may read", secretFile(t, "s3cr3t", 0o640), "", "s3cr3t", "", ""},
		{"all may read", secretFile(t, "s3cr3t", 0o644), "", "s3cr3t", "run chmod 600 on it", ""},
		{"environment first", missing, "s3cr3t", "s3cr3t", "", ""},
		{"missing", missing, "", "", "", "there is no file " + missing + ". Run tributary child add clinic-a at the parent and put what it prints into this file"},
		{"not named", "", "", "", "", "no file is named. Run tributary child add"},
		{"folder", t.TempDir(), "", "", "", "is not a file"},
		{"empty", secretFile(t, " \n", 0o600), "", "", "", "is empty"},
		{"a text", secretFile(t, "s3cr3t\nand more", 0o600), "", "", "", "holds more than one word"},
		{"too long", secretFile(t, strings.Repeat("s", maxSecret+1), 0o600), "", "", "", "holds more than one word"},
		{"under a file", filepath.Join(secretFile(t, "s", 0o600), "x"), "", "", "", "not a directory"},
	}
	for _, r := range rows {
		c := sound()
		c.Parent.CredentialFile, c.Parent.Credential = r.path, r.env
		got, warning, err := ReadCredential(c)
		if got != r.want || (r.warning == "") != (warning == "") || !strings.Contains(warning, r.warning) {
			t.Errorf("%s: got %q, warning %q", r.name, got, warning)
		}
		if (r.problem == "") != (err == nil) {
			t.Errorf("%s: got %v, want %q", r.name, err, r.problem)
		}
		if err != nil && (!strings.Contains(err.Error(), r.problem) || syncerr.KindOf(err) != syncerr.Usage || syncerr.HintOf(err) == "" || strings.Contains(err.Error(), "s3cr3t")) {
			t.Errorf("%s: got %v, want %q", r.name, err, r.problem)
		}
	}
}

func TestReadDSN(t *testing.T) {
	const dsn = "root:s3cr3t@tcp(127.0.0.1:3306)/tributary"
	rows := []struct {
		name  string
		store Store
		want  string
		bad   string
	}{
		{"given", Store{Driver: DriverMySQL, DSN: dsn}, dsn, ""},
		{"file", Store{Driver: DriverMySQL, DSNFile: secretFile(t, dsn+"\n", 0o600)}, dsn, ""},
		{"path", Store{Driver: DriverSQLite, DSN: "/data/t.db"}, "/data/t.db", ""},
		{"not for mysql", Store{Driver: DriverMySQL, DSNFile: secretFile(t, "s3cr3t", 0o600)}, "", "holds no address of a mysql database. Put one line of the form"},
		{"missing", Store{Driver: DriverMySQL, DSNFile: filepath.Join(t.TempDir(), "x")}, "", "there is no file"},
	}
	for _, r := range rows {
		got, warning, err := ReadDSN(Config{Store: r.store})
		if got != r.want || warning != "" || (err == nil) != (r.bad == "") {
			t.Errorf("%s: got %q, %q, %v", r.name, got, warning, err)
		}
		if err != nil && (!strings.Contains(err.Error(), r.bad) || strings.Contains(err.Error(), "s3cr3t")) {
			t.Errorf("%s: got %v", r.name, err)
		}
	}
}
