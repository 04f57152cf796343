package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

const (
	whyInit = "init runs before main in an order that nobody reads, for every program and test that links the package; " +
		"node is where things are wired, in plain sight."
	whyVar = "many nodes live in one process (demo, simulator, tests): what belongs to a package belongs to all of them at once, and a race or " +
		"one node's setting in another is the result. Put it into a struct that a constructor returns; a constant table goes into a function."
)

// versionFolder is where the linker may set one string: `var version string`.
const versionFolder = "cmd/tributary"

// Inits finds functions named init.
func Inits(tree Tree) []Problem {
	var problems []Problem
	for _, file := range tree.Files {
		for _, decl := range file.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				problems = append(problems, Problem{tree.at(fn.Pos()), "func init()", whyInit})
			}
		}
	}
	return problems
}

// Vars finds package variables outside tests. The forms that nobody ever assigns to are allowed: the blank identifier, a
// variable filled by go:embed, errors.New under a name Err... or err..., regexp.MustCompile, sync.OnceValue (a constant table that takes
// time to make), and the version string that the linker sets.
func Vars(tree Tree) []Problem {
	var problems []Problem
	for _, file := range tree.Files {
		if file.Test {
			continue
		}
		for _, decl := range file.ast.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, s := range gen.Specs {
				spec := s.(*ast.ValueSpec)
				if embeds(gen.Doc) || embeds(spec.Doc) {
					continue
				}
				for i, name := range spec.Names {
					if !allowedVar(file, spec, i) {
						what := fmt.Sprintf("package variable %s", name.Name)
						problems = append(problems, Problem{tree.at(name.Pos()), what, whyVar})
					}
				}
			}
		}
	}
	return problems
}

// embeds tells whether a comment holds the directive go:embed.
func embeds(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, line := range doc.List {
		if strings.HasPrefix(line.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// allowedVar judges the i-th name of a declaration.
func allowedVar(file File, spec *ast.ValueSpec, i int) bool {
	name := spec.Names[i].Name
	if name == "_" {
		return true
	}
	if len(spec.Values) == 0 {
		typ, ok := spec.Type.(*ast.Ident)
		return ok && typ.Name == "string" && name == "version" && file.Folder == versionFolder
	}
	if len(spec.Values) != len(spec.Names) {
		return false
	}
	call, ok := spec.Values[i].(*ast.CallExpr)
	if !ok {
		return false
	}
	return (strings.HasPrefix(name, "Err") || strings.HasPrefix(name, "err")) && file.isSelector(call.Fun, "errors", "New") ||
		file.isSelector(call.Fun, "regexp", "MustCompile") || file.isSelector(call.Fun, "sync", "OnceValue")
}
