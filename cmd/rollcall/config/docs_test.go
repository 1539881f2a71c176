package config

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// What the documentation shows must be what the program takes.
func TestTheConfigurationsInTheDocumentationAreValid(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	example, err := os.ReadFile(filepath.Join(root, "docs", "rollcall.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("docs/rollcall.example.yaml", example, env()); err != nil {
		t.Error(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) == 0 {
		t.Fatal("the README shows no configuration")
	}
	for _, b := range blocks {
		if _, err := Parse("README.md", b[1], env()); err != nil {
			t.Errorf("%v\n%s", err, b[1])
		}
	}
}
