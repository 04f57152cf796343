package load

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tributary-sync/tributary/syncerr"
)

// File is one file to be read.
type File struct {
	Path  string
	Size  int64 // bytes
	Lines bool  // one resource a line (NDJSON)
}

// Find returns the files that paths name: a file as it is, of a folder everything below it that ends in .json, .ndjson or .jsonl
// and does not begin with a dot, sorted by path. It returns a Usage error for a path that does not exist and where there is
// nothing to load.
func Find(paths []string) (files []File, total int64, err error) {
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, 0, syncerr.New(syncerr.Usage, "load", "there is no file or folder %s", p).WithHint("Check the path")
			}
			return nil, 0, syncerr.New(syncerr.Usage, "load", "%w", err)
		}
		if !info.IsDir() {
			files = append(files, file(p, info.Size()))
			continue
		}
		// WalkDir goes through each folder in lexical order.
		err = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if path != p && strings.HasPrefix(d.Name(), ".") {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if d.IsDir() || !readable(path) {
				return nil
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if info.Mode().IsRegular() {
				files = append(files, file(path, info.Size()))
			}
			return nil
		})
		if err != nil {
			return nil, 0, syncerr.New(syncerr.Usage, "load", "read folder %s: %w", p, err)
		}
	}
	if len(files) == 0 {
		return nil, 0, syncerr.New(syncerr.Usage, "load", "there is nothing to load in %s", strings.Join(paths, ", ")).
			WithHint("Files end in .json, .ndjson or .jsonl")
	}
	for _, f := range files {
		total += f.Size
	}
	return files, total, nil
}

func file(path string, size int64) File {
	ext := strings.ToLower(filepath.Ext(path))
	return File{Path: path, Size: size, Lines: ext == ".ndjson" || ext == ".jsonl"}
}

func readable(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".json", ".ndjson", ".jsonl":
		return true
	}
	return false
}
