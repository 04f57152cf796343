//go:build linux || darwin

package carry

import "syscall"

// FreeSpace returns how many bytes an ordinary user may still write to the disk of a folder.
func FreeSpace(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}
