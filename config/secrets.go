package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// mask stands for a secret in what is shown.
const mask = "***"

// maxSecret bounds a secret file in bytes; a larger one is not what was meant.
const maxSecret = 64 << 10

// ReadCredential returns the credential for the parent: from the environment, else the content of parent.credential_file
// without blanks around it. warning says that other users of the machine can read the file, and is "" otherwise. It returns
// a Usage error that says what to do where the file is missing, unreadable, empty or no credential.
func ReadCredential(c Config) (credential, warning string, err error) {
	if c.Parent.Credential != "" {
		return c.Parent.Credential, "", nil
	}
	hint := fmt.Sprintf("Run tributary child add %s at the parent and put what it prints into this file", placeholder(c.Node.Name))
	return readSecret("parent.credential_file", c.Parent.CredentialFile, hint)
}

// ReadDSN returns the data source name of the database: store.dsn, else the first line of store.dsn_file. Warning and
// errors are as those of ReadCredential.
func ReadDSN(c Config) (dsn, warning string, err error) {
	if c.Store.DSNFile == "" {
		return c.Store.DSN, "", nil
	}
	const hint = "Put one line of the form user:password@tcp(host:3306)/database into it"
	dsn, warning, err = readSecret("store.dsn_file", c.Store.DSNFile, hint)
	if err == nil && c.Store.Driver == DriverMySQL && !isMySQL(dsn) {
		return "", warning, problem("store.dsn_file", hint, "%s holds no address of a mysql database", c.Store.DSNFile)
	}
	return dsn, warning, err
}

func readSecret(setting, path, hint string) (secret, warning string, err error) {
	if path == "" {
		return "", "", problem(setting, hint, "no file is named")
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", problem(setting, hint, "there is no file %s", path)
	}
	if err != nil {
		return "", "", syncerr.New(syncerr.Usage, setting, "%w", err).WithHint("Let the user that runs tributary read it")
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return "", "", syncerr.New(syncerr.Usage, setting, "%w", err).WithHint("Let the user that runs tributary read it")
	}
	if !info.Mode().IsRegular() {
		return "", "", problem(setting, hint, "%s is not a file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", "", syncerr.New(syncerr.Usage, setting, "%w", err).WithHint("Let the user that runs tributary read it")
	}
	secret = strings.TrimSpace(strings.TrimPrefix(string(data), "\ufeff")) // editors on Windows begin with a mark
	switch {
	case secret == "":
		return "", "", problem(setting, hint, "%s is empty", path)
	case len(data) > maxSecret || strings.ContainsAny(secret, " \t\r\n\x00"):
		return "", "", problem(setting, hint, "%s holds more than one word", path)
	}
	// Windows has no such permissions and reports every file as readable by all.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o004 != 0 {
		warning = fmt.Sprintf("%s: every user of this machine can read %s; run chmod 600 on it", setting, path)
	}
	return secret, warning, nil
}

// isMySQL reports whether a DSN has the form user:password@tcp(host:port)/database, as go-sql-driver/mysql reads it.
func isMySQL(dsn string) bool {
	slash := strings.LastIndexByte(dsn, '/')
	if slash < 0 || strings.Contains(dsn, "://") {
		return false
	}
	at := strings.LastIndexByte(dsn[:slash], '@')
	database, _, _ := strings.Cut(dsn[slash+1:], "?")
	network, address, ok := strings.Cut(dsn[at+1:slash], "(")
	if !ok { // the driver knows an address of its own for these only
		return database != "" && (network == "" || network == "tcp" || network == "unix")
	}
	return database != "" && strings.HasSuffix(address, ")") && strings.Trim(network, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// maskDSN replaces the password of a mysql DSN, or the whole where its form is not understood.
func maskDSN(dsn string) string {
	if dsn == "" || !isMySQL(dsn) {
		return strings.Repeat(mask, min(len(dsn), 1))
	}
	at := strings.LastIndexByte(dsn[:strings.LastIndexByte(dsn, '/')], '@')
	if user, _, ok := strings.Cut(dsn[:max(at, 0)], ":"); ok {
		return user + ":" + mask + dsn[at:]
	}
	return dsn
}
