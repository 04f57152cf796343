package reconcile_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-sync/tributary/reconcile"
)

// large returns three copies of a Patient of about that many bytes, of which the clinic changed a phone and the district an address.
func large(size int) (a, l, r []byte) {
	var contacts []string
	n := 0
	for i := 0; n < size; i++ {
		c := fmt.Sprintf(`{"relationship":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0131","code":"N"}]}],"name":{"family":"Family %d","given":["Given %d","Second"]},`+
			`"telecom":[{"system":"phone","use":"home","value":"+254-%06d"}],"address":{"line":["Road %d"],"city":"Town"}}`, i, i, i, i)
		contacts, n = append(contacts, c), n+len(c)
	}
	a = []byte(patient(`"gender":"male",` + phone + "," + address + `,"contact":[` + strings.Join(contacts, ",") + "]"))
	l = bytes.Replace(bytes.Replace(a, []byte(phone), []byte(phone3), 1), []byte(`"family":"Family 3"`), []byte(`"family":"Familia 3"`), 1)
	r = bytes.Replace(bytes.Replace(a, []byte(address), []byte(moved), 1), []byte(`"family":"Family 7"`), []byte(`"family":"Familia 7"`), 1)
	return a, l, r
}

// everywhere changes every contact on one side and the order and the end on the other: nothing is equal at its place.
func everywhere(a []byte) (l, r []byte) {
	l = bytes.ReplaceAll(a, []byte(`"city":"Town"`), []byte(`"city":"Great Town"`))
	r = bytes.Replace(a, []byte(`"contact":[`), []byte(`"contact":[{"gender":"female"},`), 1)
	return l, bytes.ReplaceAll(r, []byte(`"Second"`), []byte(`"Third"`))
}

func TestMergeOfLargeResources(t *testing.T) {
	a, l, r := large(1 << 20)
	if out, clashes := reconcile.Merge(a, l, r); !bytes.Contains(out, []byte("Familia 3")) || !bytes.Contains(out, []byte("Familia 7")) {
		t.Errorf("%.300s %v", out, clashes)
	}
	l, r = everywhere(a)
	if out, clashes := reconcile.Merge(a, l, r); bytes.Count(out, []byte("Great Town")) != bytes.Count(out, []byte("Third")) || len(out) < len(a) {
		t.Errorf("%.300s %d", out, len(clashes))
	}
}

func BenchmarkMerge(b *testing.B) {
	for _, size := range []int{10_000, 1 << 20} {
		a, l, r := large(size)
		b.Run(fmt.Sprintf("%dkB", size/1000), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if out, _ := reconcile.Merge(a, l, r); out == nil {
					b.Fatal("no merge")
				}
			}
		})
		l, r = everywhere(a)
		b.Run(fmt.Sprintf("%dkB-everywhere", size/1000), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				reconcile.Merge(a, l, r)
			}
		})
	}
}
