package simnet

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// mutation is a deliberate bug: a patch of production code that the simulator has to find. Its file has lines "key: value", then,
// for each file that it changes, a line "--- path" and hunks as in a unified diff but without line numbers, parted by "@@": lines
// that begin with a blank or a minus stand in the file exactly once, together and in this order; those with a blank or a plus
// take their place.
type mutation struct {
	path string // of the file that holds it
	name string
	rule string // of core-review.md that it breaks, or what else
	what string
	seed uint64 // one that finds it
	diff map[string][]hunk
}

type hunk struct{ before, after string }

func readMutations(dir string) ([]mutation, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	var out []mutation
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		m, err := parseMutation(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		m.path, m.name = p, strings.TrimSuffix(filepath.Base(p), ".patch")
		out = append(out, m)
	}
	return out, nil
}

func parseMutation(text string) (mutation, error) {
	m := mutation{diff: map[string][]hunk{}}
	file := ""
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		bad := func(why string) (mutation, error) { return m, fmt.Errorf("line %d: %s: %q", i+1, why, line) }
		if rest, ok := strings.CutPrefix(line, "--- "); ok {
			file = rest
			m.diff[file] = []hunk{{}}
			continue
		}
		if file == "" {
			key, value, _ := strings.Cut(line, ":")
			value = strings.TrimSpace(value)
			switch key {
			case "rule":
				m.rule = value
			case "what":
				m.what = value
			case "seed":
				var err error
				if m.seed, err = strconv.ParseUint(value, 10, 64); err != nil {
					return bad("the seed is no number")
				}
			default:
				return bad("neither rule, what nor seed")
			}
			continue
		}
		hunks := m.diff[file]
		h := &hunks[len(hunks)-1]
		switch {
		case line == "@@":
			m.diff[file] = append(hunks, hunk{})
		case line == "":
			h.before, h.after = h.before+"\n", h.after+"\n"
		case line[0] == ' ':
			h.before, h.after = h.before+line[1:]+"\n", h.after+line[1:]+"\n"
		case line[0] == '-':
			h.before += line[1:] + "\n"
		case line[0] == '+':
			h.after += line[1:] + "\n"
		default:
			return bad("neither kept, removed nor added")
		}
	}
	if m.rule == "" || m.what == "" || len(m.diff) == 0 {
		return m, fmt.Errorf("rule, what and a change are needed")
	}
	return m, nil
}

// apply returns the text of a file with the mutation.
func (m mutation) apply(file, text string) (string, error) {
	for _, h := range m.diff[file] {
		if n := strings.Count(text, h.before); h.before == "" || n != 1 {
			return "", fmt.Errorf("%s no longer applies: its text stands %d times in %s:\n%s", m.path, n, file, h.before)
		}
		text = strings.Replace(text, h.before, h.after, 1)
	}
	return text, nil
}

// applies returns an error where the text that the mutation changes is no longer there.
func (m mutation) applies(root string) error {
	for file := range m.diff {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			return err
		}
		if _, err := m.apply(file, string(b)); err != nil {
			return err
		}
	}
	return nil
}

// record writes the seed into the mutation's file.
func (m mutation) record(seed uint64) error {
	b, err := os.ReadFile(m.path)
	if err != nil {
		return err
	}
	head, diff, _ := strings.Cut(string(b), "\n---")
	var lines []string
	for line := range strings.SplitSeq(head, "\n") {
		if !strings.HasPrefix(line, "seed:") {
			lines = append(lines, line)
		}
	}
	lines = append(lines, fmt.Sprintf("seed: %d", seed))
	return os.WriteFile(m.path, []byte(strings.Join(lines, "\n")+"\n---"+diff), 0o600)
}
