package simnet

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// mutantEnv names the mutation that a program with all of them has switched on.
const mutantEnv = "TRIBUTARY_SIM_MUTANT"

// overlay writes the files of a program that has all mutations, one of which is switched on when it runs, and the list that `go test
// -overlay` reads, into dir. It returns the list's path. To build each mutation by itself would take minutes. A function that a
// mutation changes is there several times, and one of its name chooses among them.
func overlay(all []mutation, root, dir string) (string, error) {
	files := map[string][]mutation{}
	for _, m := range all {
		for f := range m.diff {
			files[f] = append(files[f], m)
		}
	}
	replace := map[string]string{}
	write := func(file, text string) error {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		replace[filepath.Join(root, filepath.FromSlash(file))] = to
		return os.WriteFile(to, []byte(text), 0o600)
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			return "", err
		}
		text, name, err := combine(file, string(b), files[file])
		if err != nil {
			return "", err
		}
		if err := write(file, text); err != nil {
			return "", err
		}
		chooser := fmt.Sprintf("package %s\n\nimport \"os\"\n\nvar simMutant = os.Getenv(%q)\n", name, mutantEnv)
		if err := write(path.Join(path.Dir(file), "sim_mutant.go"), chooser); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	at := filepath.Join(dir, "overlay.json")
	return at, os.WriteFile(at, list, 0o600)
}

// source is the text of a file in the parts that matter here.
type sourceFile struct {
	text    string
	pkg     string
	end     int // of the package clause
	imports map[string]bool
	decls   map[string]declared
}

// declared is a top-level declaration; fn is nil where it is no function.
type declared struct {
	fn       *ast.FuncDecl
	from, to int
	name     int // where its name stands
}

func parseSource(file, text string) (sourceFile, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, text, 0)
	if err != nil {
		return sourceFile{}, err
	}
	at := func(p token.Pos) int { return fset.Position(p).Offset }
	s := sourceFile{text: text, pkg: f.Name.Name, end: at(f.Name.End()), imports: map[string]bool{}, decls: map[string]declared{}}
	for _, i := range f.Imports {
		s.imports[i.Path.Value] = true
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = text[at(d.Recv.Pos()):at(d.Recv.End())] + name
			}
			s.decls[name] = declared{fn: d, from: at(d.Pos()), to: at(d.End()), name: at(d.Name.Pos())}
		case *ast.GenDecl:
			if d.Tok == token.IMPORT {
				continue
			}
			of := declared{from: at(d.Pos()), to: at(d.End())}
			s.decls[fmt.Sprintf("%s %s", d.Tok, firstLine(text[of.from:of.to]))] = of
		}
	}
	return s, nil
}

func firstLine(s string) string { line, _, _ := strings.Cut(s, "\n"); return line }

// combine returns a file with the functions of all mutations, and the name of its package.
func combine(file, text string, all []mutation) (combined, pkg string, err error) {
	orig, err := parseSource(file, text)
	if err != nil {
		return "", "", err
	}
	imports := map[string]bool{}
	variants := map[string][]string{} // by function: the names of the mutations that change it
	var more strings.Builder
	for _, m := range all {
		changed, err := m.apply(file, text)
		if err != nil {
			return "", "", err
		}
		s, err := parseSource(file, changed)
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", m.path, err)
		}
		for i := range s.imports {
			imports[i] = imports[i] || !orig.imports[i]
		}
		for name, d := range s.decls {
			body := changed[d.from:d.to]
			o, ok := orig.decls[name]
			switch {
			case ok && text[o.from:o.to] == body:
			case ok && d.fn != nil:
				variants[name] = append(variants[name], m.name)
				of := d.name - d.from + len(d.fn.Name.Name)
				fmt.Fprintf(&more, "\n%s%s%s\n", body[:of], suffix(m.name), body[of:])
			case !ok:
				fmt.Fprintf(&more, "\n%s\n", body)
			default:
				return "", "", fmt.Errorf("%s changes what is no function: %s", m.path, firstLine(body))
			}
		}
	}
	type edit struct {
		at   int
		text string
	}
	edits := []edit{{orig.end, ""}}
	for _, i := range slices.Sorted(maps.Keys(imports)) {
		if imports[i] {
			edits[0].text += "\n\nimport " + i
		}
	}
	for name, names := range variants {
		d := orig.decls[name]
		edits = append(edits, edit{d.name + len(d.fn.Name.Name), suffix("")})
		more.WriteString(orig.chooser(d, names))
	}
	slices.SortFunc(edits, func(a, b edit) int { return b.at - a.at })
	for _, e := range edits {
		text = text[:e.at] + e.text + text[e.at:]
	}
	return text + more.String(), orig.pkg, nil
}

func suffix(mutation string) string {
	return "_sim_" + strings.NewReplacer("-", "_", ".", "_").Replace(mutation)
}

// chooser returns a function with the signature of d that calls the variant which is switched on.
func (s sourceFile) chooser(d declared, names []string) string {
	base := d.fn.Pos()
	slice := func(n ast.Node) string { return s.text[d.from+int(n.Pos()-base) : d.from+int(n.End()-base)] }
	var params, args []string
	for _, f := range d.fn.Type.Params.List {
		kind := slice(f.Type)
		for range max(1, len(f.Names)) {
			p := fmt.Sprintf("p%d", len(params))
			params = append(params, p+" "+kind)
			if strings.HasPrefix(kind, "...") {
				p += "..."
			}
			args = append(args, p)
		}
	}
	head, call := "", ""
	if d.fn.Recv != nil {
		head, call = "(r "+slice(d.fn.Recv.List[0].Type)+") ", "r."
	}
	results, back := "", ""
	if d.fn.Type.Results != nil {
		results, back = " "+slice(d.fn.Type.Results), "return "
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nfunc %s%s(%s)%s {\n\tswitch simMutant {\n", head, d.fn.Name.Name, strings.Join(params, ", "), results)
	for _, n := range names {
		fmt.Fprintf(&b, "\tcase %q:\n\t\t%s%s%s%s(%s)\n", n, back, call, d.fn.Name.Name, suffix(n), strings.Join(args, ", "))
	}
	fmt.Fprintf(&b, "\tdefault:\n\t\t%s%s%s%s(%s)\n\t}\n}\n", back, call, d.fn.Name.Name, suffix(""), strings.Join(args, ", "))
	return b.String()
}
