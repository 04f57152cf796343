package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	gmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/tributary-sync/tributary/fhir"
	"github.com/tributary-sync/tributary/syncerr"
)

// dialect holds the few differences between the two databases.
type dialect struct {
	name   string
	open   func(Options, bool) (writer, reader *gorm.DB, err error)
	check  func(context.Context, *gorm.DB) (limit int, err error)
	server func(context.Context, *gorm.DB) string
	kind   func(error) (syncerr.Kind, string) // kind and hint of a driver's error
	retry  func(error) bool                   // the whole transaction may succeed if it is run again
	lock   string                             // first statement of a write transaction
	rows   []int                              // rows that a multi-row INSERT may carry, the most first, 1 last
	ignore string                             // INSERT that leaves an existing row alone
	update func(key, columns string) string   // end of an INSERT that sets these columns of an existing row
	remote bool                               // its answers may stay out for ever
	widen  string                             // end of an INSERT that widens first_at and last_at of an existing block
}

func dialectOf(name string) (dialect, error) {
	switch name {
	case "sqlite", "":
		return dialect{
			name: "sqlite", open: openSQLite, check: checkSQLite, kind: kindSQLite, rows: []int{32, 16, 8, 4, 2, 1},
			server: func(ctx context.Context, g *gorm.DB) string {
				return "SQLite " + scalar(ctx, g, "SELECT sqlite_version()")
			},
			retry: func(error) bool { return false }, ignore: "INSERT OR IGNORE",
			widen: " ON CONFLICT (block) DO UPDATE SET first_at = MIN(first_at, excluded.first_at), last_at = MAX(last_at, excluded.last_at)",
			update: func(key, columns string) string {
				return " ON CONFLICT (" + key + ") DO UPDATE SET " + assign(columns, "excluded.", "")
			},
		}, nil
	case "mysql":
		return dialect{
			name: "mysql", open: openMySQL, check: checkMySQL, kind: kindMySQL, rows: []int{100, 10, 3, 1},
			server: func(ctx context.Context, g *gorm.DB) string { return scalar(ctx, g, "SELECT VERSION()") },
			retry:  retryMySQL, ignore: "INSERT IGNORE", remote: true,
			widen:  " ON DUPLICATE KEY UPDATE first_at = LEAST(first_at, VALUES(first_at)), last_at = GREATEST(last_at, VALUES(last_at))",
			update: func(_, columns string) string { return " ON DUPLICATE KEY UPDATE " + assign(columns, "VALUES(", ")") },
			// One writer at a time, also across processes: whoever holds the sequence gives the next number, and a transaction
			// that has not this row yet holds no other lock, so there is nothing to deadlock with.
			lock: "SELECT value FROM counter WHERE name = 'sequence' FOR UPDATE",
		}, nil
	}
	return dialect{}, syncerr.New(syncerr.Usage, "open database", "store.driver is %q", name).WithHint("Use sqlite or mysql")
}

// assign sets columns to what stands in the new row.
func assign(columns, before, after string) string {
	var out []string
	for c := range strings.SplitSeq(columns, ", ") {
		out = append(out, c+" = "+before+c+after)
	}
	return strings.Join(out, ", ")
}

// bounded returns the context of a write transaction. A context that can end costs SQLite's driver a goroutine for each statement, and SQLite waits
// for nothing but its own file.
func (d dialect) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if !d.remote {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, 10*time.Minute)
}

func (d dialect) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *syncerr.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	kind, hint := d.kind(err)
	return &syncerr.Error{Kind: kind, Op: op, Err: err, Hint: hint}
}

func gormConfig(opts Options) *gorm.Config {
	return &gorm.Config{
		// SQLite's connections keep their statements by themselves (keeper); over a network preparing saves a round trip.
		SkipDefaultTransaction: true, PrepareStmt: opts.Driver == "mysql", TranslateError: false,
		Logger: logger.Discard, NowFunc: func() time.Time { return opts.Clock().UTC() }, DisableAutomaticPing: true,
	}
}

func openMySQL(opts Options, _ bool) (writer, reader *gorm.DB, err error) {
	cfg, err := mysql.ParseDSN(opts.DSN)
	if err != nil {
		return nil, nil, syncerr.New(syncerr.Usage, "open database", "store.dsn cannot be read").
			WithHint("Write it as user:password@tcp(host:3306)/database or user:password@unix(/path/socket)/database")
	}
	cfg.ParseTime, cfg.Loc, cfg.ClientFoundRows = false, time.UTC, false
	cfg.Timeout = 10 * time.Second
	cfg.MaxAllowedPacket = 0 // the server's: what is larger than its share of a packet travels by itself, so that many rows fit into one statement
	cfg.Logger = &mysql.NopLogger{}
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	cfg.Params["sql_mode"] = "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
	cfg.Params["time_zone"] = "'+00:00'"
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, nil, syncerr.Wrap(syncerr.Usage, "open database", err)
	}
	g, err := gorm.Open(gmysql.New(gmysql.Config{Conn: sql.OpenDB(snapshots{connector}), SkipInitializeWithVersion: true}), gormConfig(opts))
	if err != nil {
		return nil, nil, dialect{kind: kindMySQL}.wrap("open database", err)
	}
	db, err := sqlDB(g)
	if err != nil {
		return nil, nil, syncerr.Wrap(syncerr.Internal, "open database", err)
	}
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(4)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return g, g.Session(&gorm.Session{}), nil
}

// snapshots makes every connection read snapshots, whatever the server's default. The variable for it has one name in MariaDB and
// another in MySQL 8, the statement is the same (MySQL 8.4 manual, 15.3.7 SET TRANSACTION).
type snapshots struct{ driver.Connector }

func (s snapshots) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	session, ok := conn.(driver.ExecerContext)
	if !ok {
		panic("bug: the driver of MySQL runs no statements on a connection")
	}
	if _, err := session.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func checkMySQL(ctx context.Context, g *gorm.DB) (int, error) {
	wrap := dialect{kind: kindMySQL}.wrap
	var packet int
	if err := g.WithContext(ctx).Raw("SELECT @@max_allowed_packet").Scan(&packet).Error; err != nil {
		return 0, wrap("open database", err)
	}
	if c := scalar(ctx, g, "SELECT @@collation_database"); c != "utf8mb4_bin" {
		return 0, syncerr.New(syncerr.Usage, "open database", "its collation is %s, under which Patient/abc and Patient/ABC are one", c).
			WithHint("Run ALTER DATABASE ... CHARACTER SET utf8mb4 COLLATE utf8mb4_bin while it is empty")
	}
	return min(fhir.MaxBytes, packet-64*1024), nil
}

func kindMySQL(err error) (syncerr.Kind, string) {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		switch e.Number {
		case 1021, 1114, 3675: // disk full, table full
			return syncerr.StorageFull, "The database server's disk is full; free some space, everything goes on by itself"
		case 1044, 1045, 1049, 1698:
			return syncerr.Usage, "Check user, password and database name in store.dsn, and that the database exists"
		case 1040, 1047, 1053, 1158, 1159, 1160, 1161, 1205, 1213, 1290, 1836, 1927:
			return syncerr.Unavailable, "The database server cannot take the call now; it is tried again"
		case 1153:
			return syncerr.TooLarge, "Raise max_allowed_packet on the database server"
		case 3, 1026, 1030:
			return syncerr.StorageFull, "The database server cannot write; check its disk"
		}
		return syncerr.Internal, ""
	}
	var ne net.Error
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.As(err, &ne) {
		return syncerr.Unavailable, "The database server does not answer; check that it runs and that store.dsn names it"
	}
	return syncerr.Internal, ""
}

func retryMySQL(err error) bool {
	var e *mysql.MySQLError
	return errors.As(err, &e) && (e.Number == 1213 || e.Number == 1205 || e.Number == 1047)
}

func scalar(ctx context.Context, g *gorm.DB, q string) string {
	var v string
	if err := g.WithContext(ctx).Raw(q).Scan(&v).Error; err != nil {
		return "unknown"
	}
	return v
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

func itoa(n int) string { return strconv.Itoa(n) }

// timeText is the form of a moment in tables that operators read: the same text sorts and compares in both databases.
func timeText(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000") }

func parseTime(s string) int64 {
	if s == "" {
		return 0
	}
	for _, form := range []string{"2006-01-02 15:04:05.000", time.RFC3339Nano} {
		if t, err := time.Parse(form, s); err == nil {
			return t.UnixMilli()
		}
	}
	return 0
}
