//go:build !linux

package main

import (
	"github.com/spf13/cobra"

	"kmswatch/alerts"
)

// owners knows no process here.
type owners struct{}

func openOwners(*live) (*owners, error) { return nil, nil }

func (*owners) name(*alerts.Alert) {}

func (*owners) close() {}

func newOwners() *cobra.Command { return &cobra.Command{Use: "owners", Hidden: true} }
