package app

import (
	"errors"
	"os"
)

// cause is the innermost reason of an operating system error: "permission denied".
func cause(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
