package carry

import (
	"errors"
	"syscall"
)

// isFull reports whether an error says that there is no room left: ERROR_HANDLE_DISK_FULL or ERROR_DISK_FULL.
func isFull(err error) bool {
	return errors.Is(err, syscall.Errno(39)) || errors.Is(err, syscall.Errno(112))
}
