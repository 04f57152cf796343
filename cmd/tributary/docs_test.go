package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestProtocolsPage runs docs/protocols.md: every block of commands, in one folder and with the variables of those before it, and compares what it prints
// with the block of text that follows it; … there is anything.
func TestProtocolsPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocols.md"))
	if err != nil {
		t.Fatal(err)
	}
	a, b := newMachine(t, "a", ""), newMachine(t, "b", "")
	a.serve(t)
	b.serve(t)
	blocks := regexp.MustCompile("(?s)```(sh|text)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	const end = "=== end of block ==="
	script := "set -eu\n"
	var want []string
	for _, block := range blocks {
		if block[1] == "sh" {
			script += block[2] + "echo '" + end + "'\n"
			want = append(want, "")
			continue
		}
		want[len(want)-1] = block[2]
	}
	if len(want) < 8 {
		t.Fatalf("the page has %d blocks of commands", len(want))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*deadline)
	defer cancel()
	c := exec.CommandContext(ctx, "sh", "-c", script)
	c.Dir = t.TempDir()
	c.Env = append(os.Environ(), "A="+a.url(), "B="+b.url(), "no_proxy=*")
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), errs.String())
	}
	got := strings.Split(out.String(), end+"\n")
	for i, text := range want {
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".*") + "$"
		if !regexp.MustCompile(pattern).MatchString(got[i]) {
			t.Errorf("block %d printed\n%swant\n%s", i+1, got[i], text)
		}
	}
}
