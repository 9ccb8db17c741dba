package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamplesLoad reads the configurations under deploy, and holds the topics of
// that for a first try against those which its broker is given.
func TestExamplesLoad(t *testing.T) {
	files, err := filepath.Glob("../../deploy/*/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, path := range files {
		if filepath.Base(path) == "compose.yaml" {
			continue
		}
		if _, err := loadConfig(path); err != nil {
			t.Error(err)
		}
	}
	c, err := loadConfig("../../deploy/kafka/kmswatch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	compose, err := os.ReadFile("../../deploy/kafka/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{c.Kafka.Topic, c.Kafka.Flows.Name, c.Kafka.Health.Name, c.Kafka.Flows.Name + "-state", c.Kafka.Flows.Name + "-roles"} {
		if !strings.Contains(string(compose), "make "+topic+" ") {
			t.Errorf("compose.yaml does not make the topic %s", topic)
		}
	}
}
