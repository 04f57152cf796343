package archtest

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// load parses sources given by path, with a module named m.
func load(t *testing.T, sources map[string]string) Tree {
	t.Helper()
	root := fstest.MapFS{"go.mod": {Data: []byte("module m\n\ngo 1.26\n")}}
	for name, src := range sources {
		root[name] = &fstest.MapFile{Data: []byte(src)}
	}
	tree, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// expect compares problems, written "where: what", and insists on a reason for each.
func expect(t *testing.T, got []Problem, want ...string) {
	t.Helper()
	var lines []string
	for _, p := range got {
		lines = append(lines, p.Where+": "+p.What)
		if p.Why == "" || !strings.HasSuffix(p.String(), "why: "+p.Why) {
			t.Errorf("%s does not say why", p.Where)
		}
	}
	if g, w := strings.Join(lines, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got problems:\n%s\nwant:\n%s", g, w)
	}
}

// A rule that looks at one file is proved by sources that break it and sources that come close.
func TestFileRules(t *testing.T) {
	sleeps := func(tree Tree) []Problem { return Sleeps(tree, nil) }
	sizes := func(tree Tree) []Problem { _, problems := Sizes(tree); return problems }
	blank := func(lines int) string { return "package a\n" + strings.Repeat("\n", lines-1) }
	tests := []struct {
		name, path, src string
		rule            func(Tree) []Problem
		want            []string
	}{
		{"init", "a/a.go", "package a\nfunc init() {}\n", Inits, []string{"a/a.go:2: func init()"}},
		{"init in a test", "a/a_test.go", "package a\nfunc init() {}\n", Inits, []string{"a/a_test.go:2: func init()"}},
		{"a method init", "a/a.go", "package a\ntype T struct{}\nfunc (T) init() {}\nfunc initAll() {}\n", Inits, nil},

		{"variable", "a/a.go", "package a\nvar n int\n", Vars, []string{"a/a.go:2: package variable n"}},
		{"table", "a/a.go", "package a\nvar names = map[string]int{}\n", Vars, []string{"a/a.go:2: package variable names"}},
		{"group", "a/a.go", "package a\nvar (\n\t_ = 1\n\tb, c = 1, 2\n)\n", Vars, []string{"a/a.go:4: package variable b", "a/a.go:4: package variable c"}},
		{"variable in a test", "a/a_test.go", "package a\nvar n int\n", Vars, nil},
		{"local variable", "a/a.go", "package a\nfunc f() { var n int; _ = n }\n", Vars, nil},
		{"constant", "a/a.go", "package a\nconst n = 1\n", Vars, nil},
		{"interface check", "a/a.go", "package a\nimport \"io\"\nvar _ io.Reader = T{}\n", Vars, nil},
		{"error", "a/a.go", "package a\nimport \"errors\"\nvar ErrGone = errors.New(\"gone\")\n", Vars, nil},
		{"error of a renamed import", "a/a.go", "package a\nimport e \"errors\"\nvar ErrGone = e.New(\"gone\")\n", Vars, nil},
		{"error of the package alone", "a/a.go", "package a\nimport \"errors\"\nvar errGone = errors.New(\"gone\")\n", Vars, nil},
		{"error with another name", "a/a.go", "package a\nimport \"errors\"\nvar gone = errors.New(\"gone\")\n", Vars, []string{"a/a.go:3: package variable gone"}},
		{"error of another package", "a/a.go", "package a\nimport \"m/errors\"\nvar ErrGone = errors.New(\"gone\")\n", Vars, []string{"a/a.go:3: package variable ErrGone"}},
		{"regexp", "a/a.go", "package a\nimport \"regexp\"\nvar id = regexp.MustCompile(`a`)\n", Vars, nil},
		{"table made once", "a/a.go", "package a\nimport \"sync\"\nvar table = sync.OnceValue(read)\n", Vars, nil},
		{"function made once", "a/a.go", "package a\nimport \"sync\"\nvar once = sync.OnceFunc(read)\n", Vars, []string{"a/a.go:3: package variable once"}},
		{"regexp, not compiled at once", "a/a.go", "package a\nimport \"regexp\"\nvar id *regexp.Regexp\n", Vars, []string{"a/a.go:3: package variable id"}},
		{"embed", "a/a.go", "package a\nimport \"embed\"\n\n//go:embed *.sql\nvar files embed.FS\n", Vars, nil},
		{"embed in a group", "a/a.go", "package a\nimport _ \"embed\"\n\nvar (\n\t//go:embed a.html\n\tpage string\n\tn int\n)\n", Vars, []string{"a/a.go:7: package variable n"}},
		{"embed in words only", "a/a.go", "package a\n\n// go:embed is not used here\nvar page string\n", Vars, []string{"a/a.go:4: package variable page"}},
		{"version by the linker", "cmd/tributary/main.go", "package main\nvar version string\n", Vars, nil},
		{"version elsewhere", "a/a.go", "package a\nvar version string\n", Vars, []string{"a/a.go:2: package variable version"}},

		{"sleep", "a/a.go", "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", sleeps, []string{"a/a.go:3: time.Sleep"}},
		{"sleep in a test", "a/a_test.go", "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", sleeps, []string{"a/a_test.go:3: time.Sleep"}},
		{"sleep handed on", "a/a.go", "package a\nimport \"time\"\nfunc f() { g(time.Sleep) }\n", sleeps, []string{"a/a.go:3: time.Sleep"}},
		{"sleep of a renamed import", "a/a.go", "package a\nimport clock \"time\"\nfunc f() { clock.Sleep(1) }\n", sleeps, []string{"a/a.go:3: time.Sleep"}},
		{"sleep of a dot import", "a/a.go", "package a\nimport . \"time\"\nfunc f() { Sleep(1) }\n", sleeps, []string{"a/a.go:3: time.Sleep"}},
		{"another sleep", "a/a.go", "package a\nimport \"m/clock\"\nfunc f() { clock.Sleep(1); Sleep(1) }\n", sleeps, nil},

		{"now", "a/a.go", "package a\nimport \"time\"\nfunc f() { g(time.Now()) }\n", Clocks, []string{"a/a.go:3: time.Now"}},
		{"now as a default", "a/a.go", "package a\nimport \"time\"\nfunc f() { g(time.Now) }\n", Clocks, []string{"a/a.go:3: time.Now"}},
		{"since", "a/a.go", "package a\nimport \"time\"\nfunc f(t time.Time) { g(time.Since(t)) }\n", Clocks, []string{"a/a.go:3: time.Since"}},
		{"until", "a/a.go", "package a\nimport \"time\"\nfunc f(t time.Time) { g(time.Until(t)) }\n", Clocks, []string{"a/a.go:3: time.Until"}},
		{"now in a test", "a/a_test.go", "package a\nimport \"time\"\nfunc f() { g(time.Now()) }\n", Clocks, nil},
		{"now in node", "node/a.go", "package node\nimport \"time\"\nfunc f() { g(time.Now()) }\n", Clocks, nil},
		{"now in cmd", "cmd/tributary/a.go", "package main\nimport \"time\"\nfunc f() { g(time.Now()) }\n", Clocks, nil},
		{"now in internal", "internal/loop/a.go", "package loop\nimport \"time\"\nfunc f() { g(time.Now()) }\n", Clocks, nil},
		{"now in a name that begins like node", "nodes/a.go", "package nodes\nimport \"time\"\nfunc f() { g(time.Now()) }\n", Clocks, []string{"nodes/a.go:3: time.Now"}},
		{"another use of time", "a/a.go", "package a\nimport \"time\"\nfunc f(t time.Time) time.Duration { return time.Second }\n", Clocks, nil},

		{"marker", "a/a.go", "package a\n\n// TO" + "DO: the rest\n", Unfinished, []string{"a/a.go:3: TO" + "DO in a comment"}},
		{"marker after code", "a/a_test.go", "package a\n\nconst n = 1 // FIX" + "ME\n", Unfinished, []string{"a/a_test.go:3: FIX" + "ME in a comment"}},
		{"marker in a text", "a/a.go", "package a\n\nconst s = \"TO" + "DO\"\n", Unfinished, nil},
		{"part of a word", "a/a.go", "package a\n\n// MASTO" + "DON\n", Unfinished, nil},

		{"600 lines", "a/a.go", blank(600), sizes, nil},
		{"601 lines", "a/a.go", blank(601), sizes, []string{"a/a.go: 601 lines, more than 600"}},
		{"601 lines of a test", "a/a_test.go", blank(601), sizes, []string{"a/a_test.go: 601 lines, more than 600"}},
		{"601 generated lines", "a/a.go", "// Code generated by x. DO NOT EDIT.\n\n" + blank(599), sizes, nil},

		{"left out by the go command", "a/testdata/a.go", "package a\nfunc init() {}\n", Inits, nil},
		{"installed by npm", "a/node_modules/b/a.go", "package a\nfunc init() {}\n", Inits, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, tt.rule(load(t, map[string]string{tt.path: tt.src})), tt.want...)
		})
	}
}

func TestSleepsAllowed(t *testing.T) {
	tree := load(t, map[string]string{
		"a/a.go": "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }\n",
		"b/b.go": "package b\n",
	})
	expect(t, Sleeps(tree, map[string]string{"a/a.go": "a reason"}))
	expect(t, Sleeps(tree, map[string]string{"a/a.go": ""}), "a/a.go:3: time.Sleep")
	expect(t, Sleeps(tree, map[string]string{"a/a.go": "a reason", "b/b.go": "a reason"}), "b/b.go: may sleep, but does not: take it off the list")
}

func TestImports(t *testing.T) {
	table := Table{"a": {Folders: []string{"b"}}, "b": {}, "c": {Any: true}}
	tests := []struct {
		name    string
		sources map[string]string
		want    []string
	}{
		{"allowed", map[string]string{"a/a.go": "package a\nimport (\n\t\"fmt\"\n\t\"m/b\"\n)\n", "b/b.go": "package b\n"}, nil},
		{"not allowed", map[string]string{"b/b.go": "package b\nimport \"m/a\"\n"}, []string{"b/b.go:2: b must not import a; its row allows: -"}},
		{"not allowed beside allowed", map[string]string{"a/a.go": "package a\nimport _ \"m/b\"\nimport x \"m/c\"\n"}, []string{"a/a.go:3: a must not import c; its row allows: b"}},
		{"the root package", map[string]string{"a/a.go": "package a\nimport \"m\"\n"}, []string{"a/a.go:2: a must not import .; its row allows: b"}},
		{"anything", map[string]string{"c/c.go": "package c\nimport \"m/a\"\nimport \"m/b\"\n"}, nil},
		{"a test", map[string]string{"b/b.go": "package b\n", "b/b_test.go": "package b_test\nimport \"m/internal/testdb\"\n"}, nil},
		{"another module", map[string]string{"b/b.go": "package b\nimport \"mm/a\"\n"}, nil},
		{"no row", map[string]string{"d/d.go": "package d\nimport \"m/a\"\n"}, []string{"d: has Go files, but no row in the table of ARCHITECTURE.md"}},
		{"no row, tests only", map[string]string{"d/d_test.go": "package d\n"}, []string{"d: has Go files, but no row in the table of ARCHITECTURE.md"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, Imports(load(t, tt.sources), table), tt.want...)
		})
	}
}

// chain makes n packages in a line, each of which imports the next.
func chain(n int) map[string]string {
	sources := map[string]string{}
	for i := range n {
		src := fmt.Sprintf("package p%02d\n", i)
		if i+1 < n {
			src += fmt.Sprintf("import _ \"m/p%02d\"\n", i+1)
		}
		sources[fmt.Sprintf("p%02d/p.go", i)] = src
	}
	return sources
}

func TestChain(t *testing.T) {
	longest, problems := Chain(load(t, chain(MaxChain)))
	expect(t, problems)
	if got, want := strings.Join(longest, " "), "p00 p01 p02 p03 p04 p05 p06 p07 p08 p09"; got != want {
		t.Errorf("longest chain: got %s, want %s", got, want)
	}

	_, problems = Chain(load(t, chain(MaxChain+1)))
	expect(t, problems, "p00: a chain of 11 packages, more than 10: p00 -> p01 -> p02 -> p03 -> p04 -> p05 -> p06 -> p07 -> p08 -> p09 -> p10")

	sources := chain(MaxChain)
	sources["p09/p_test.go"] = "package p09_test\nimport _ \"m/z\"\n"
	sources["z/z.go"] = "package z\n"
	_, problems = Chain(load(t, sources))
	expect(t, problems)

	_, problems = Chain(load(t, map[string]string{"a/a.go": "package a\nimport \"m/b\"\n", "b/b.go": "package b\nimport \"m/a\"\n"}))
	expect(t, problems, "a: imports itself through others")
}

func TestMedian(t *testing.T) {
	lines := func(n int) string { return "package a\n" + strings.Repeat("\n", n-1) }
	median, _ := Sizes(load(t, map[string]string{
		"a/a.go": lines(10), "a/b.go": lines(200), "a/c.go": lines(30),
		"a/d_test.go": lines(500), "a/e_test.go": lines(500), // tests do not count
	}))
	if median != 30 {
		t.Errorf("got median %d, want 30", median)
	}
}

func TestLoadNamesTheBrokenFile(t *testing.T) {
	_, err := Load(fstest.MapFS{"go.mod": {Data: []byte("module m\n")}, "a/a.go": {Data: []byte("package\n")}})
	if err == nil || !strings.Contains(err.Error(), "a/a.go:1") {
		t.Errorf("got error %v, want one that names a/a.go:1", err)
	}
	if _, err := Load(fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "go.mod") {
		t.Errorf("got error %v, want one that names go.mod", err)
	}
}
