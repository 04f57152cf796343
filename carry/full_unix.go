//go:build unix

package carry

import (
	"errors"
	"syscall"
)

// isFull reports whether an error says that there is no room left.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
