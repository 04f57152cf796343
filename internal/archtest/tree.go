// Package archtest holds the rules that keep this source tree readable as checks that a test runs: who may import whom, how
// long a file may be, and what no file may do. It reads source and nothing else: it must not build, run or change anything, and
// it imports no package of ours. ARCHITECTURE.md is the only statement of who may import whom.
package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"sort"
	"strconv"
	"strings"
)

// Problem is one broken rule. Why says what the rule protects, so that whoever meets it can judge how to mend it.
type Problem struct {
	Where string // file:line, or a folder
	What  string
	Why   string
}

// String returns the problem as a test prints it.
func (p Problem) String() string { return p.Where + ": " + p.What + "\n\twhy: " + p.Why }

// File is one parsed Go file.
type File struct {
	Path      string // slash-separated, relative to the module's root
	Folder    string // folder of Path; "." is the root
	Test      bool   // a _test.go file
	Generated bool   // marked "Code generated ... DO NOT EDIT."
	Lines     int
	ast       *ast.File
}

// Tree is the Go source of one module.
type Tree struct {
	Module string // module path, from go.mod
	Files  []File // by path
	fset   *token.FileSet
}

// Load parses every Go file below root, build constraints ignored. It leaves out what the go command leaves out (testdata,
// folders whose names begin with a dot or an underscore) and node_modules. The error names a file that does not parse.
func Load(root fs.FS) (Tree, error) {
	mod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return Tree{}, fmt.Errorf("load source tree: %w", err)
	}
	tree := Tree{Module: modulePath(mod), fset: token.NewFileSet()}
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (base == "testdata" || base == "node_modules" || base[0] == '.' || base[0] == '_'):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go" || base[0] == '.' || base[0] == '_':
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(tree.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		tree.Files = append(tree.Files, File{
			Path:      name,
			Folder:    path.Dir(name),
			Test:      strings.HasSuffix(name, "_test.go"),
			Generated: ast.IsGenerated(file),
			Lines:     bytes.Count(src, []byte("\n")),
			ast:       file,
		})
		return nil
	})
	if err != nil {
		return Tree{}, fmt.Errorf("load source tree: %w", err)
	}
	return tree, nil
}

// modulePath finds the module line of a go.mod file.
func modulePath(mod []byte) string {
	for line := range strings.Lines(string(mod)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "module" {
			return fields[1]
		}
	}
	return ""
}

// folders lists the folders that hold Go files, sorted.
func (t Tree) folders() []string {
	seen := map[string]bool{}
	var all []string
	for _, f := range t.Files {
		if !seen[f.Folder] {
			seen[f.Folder] = true
			all = append(all, f.Folder)
		}
	}
	sort.Strings(all)
	return all
}

// at writes a position as file:line.
func (t Tree) at(pos token.Pos) string {
	p := t.fset.Position(pos)
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// imported is one import of a package of ours.
type imported struct {
	folder string
	pos    token.Pos
}

// ours lists the imports of a file that stay within the module, as folders.
func (t Tree) ours(f File) []imported {
	var all []imported
	for _, spec := range f.ast.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		switch rest, inside := strings.CutPrefix(target, t.Module+"/"); {
		case err != nil:
		case inside:
			all = append(all, imported{rest, spec.Pos()})
		case target == t.Module:
			all = append(all, imported{".", spec.Pos()})
		}
	}
	return all
}

// localName is the name under which a file knows the imported package importPath; "" if it does not import it. Versioned paths
// are not needed here: the rules ask for packages of the standard library.
func (f File) localName(importPath string) string {
	for _, spec := range f.ast.Imports {
		if spec.Path.Value != strconv.Quote(importPath) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// isSelector tells whether an expression is name of the package importPath, such as time.Now.
func (f File) isSelector(expr ast.Node, importPath, name string) bool {
	sel, ok := expr.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == f.localName(importPath)
}
