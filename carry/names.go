package carry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// The names in the folder on a stick. All of them are of 8 and 3 capitals and digits, which every file system knows.
const (
	baseFolder   = "TRIBUTAR"
	readmeFile   = "README.TXT"
	manifestFile = "BUNDLE.TRB"
	tempFile     = "BUNDLE.TMP"
	cardSuffix   = ".TRC"
	partSuffix   = ".TRP"
	tempSuffix   = ".TMP"
)

// Tag is by what files and folders name a node: the begin of a hash of its key.
func Tag(key string) string {
	sum := sha256.Sum256([]byte(key))
	return strings.ToUpper(hex.EncodeToString(sum[:4]))
}

func isTag(s string) bool {
	return len(s) == 8 && strings.Trim(s, "0123456789ABCDEF") == ""
}

// partName returns the name of a file of a bundle: the end of the bundle's serial and the number of the file.
func partName(serial uint64, file int) string {
	return fmt.Sprintf("%04X%04d%s", serial&0xffff, file, partSuffix)
}

// isPart reports whether a name is that of a file of a bundle, of the one with that serial where mine is true.
func isPart(name string, serial uint64) (part, mine bool) {
	base, ok := strings.CutSuffix(name, partSuffix)
	if !ok || len(base) != 8 || strings.Trim(base[:4], "0123456789ABCDEF") != "" {
		return false, false
	}
	n, err := strconv.Atoi(base[4:])
	if err != nil || n < 1 || partName(serial, n)[4:] != name[4:] {
		return false, false
	}
	return true, partName(serial, n) == name
}

// isCard reports whether a name is that of a card.
func isCard(name string) bool {
	base, ok := strings.CutSuffix(name, cardSuffix)
	return ok && isTag(base)
}
