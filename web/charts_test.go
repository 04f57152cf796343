package web_test

import (
	"strings"
	"testing"
)

func TestChartsPage(t *testing.T) {
	w, _ := busy(t, "clinic-a")
	body := w.page("/charts")
	contains(t, "the charts", body, `aria-label="Changes: `, "; the most was ", `aria-label="Data moved: 145 kB; the most was 145 kB (10:00)"`, "<th scope=\"row\">10:00</th>", "<th scope=\"row\">2 Mar</th>",
		"<summary>The numbers</summary>", `class="failures first"`,
		`aria-label="Failures: 3; the most was 3 (10:00)"><path class="line" d="M0 112.5H360M0 16.5H360"/><text x="0" y="12">5</text>`) // three failures do not fill it
	if rows := strings.Count(body, `<tr><th scope="row">`); rows != 24+30 {
		t.Errorf("%d rows of numbers", rows)
	}
	if svg := strings.Count(body, `<svg viewBox="0 0 360 130" role="img" aria-label="`); svg != 8 {
		t.Errorf("%d charts", svg)
	}
	contains(t, "the charts of an empty node", newWorld(t, "island", "").page("/charts"), `aria-label="Failures: nothing"`)
}
