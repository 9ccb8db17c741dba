//go:build !windows

package service

import (
	"context"
	"errors"
)

// Available tells whether this system has Windows services.
const Available = false

// What follows is for Windows.

func Install(string, []string) error                               { return errors.ErrUnsupported }
func Remove(string) error                                          { return errors.ErrUnsupported }
func Start(string) error                                           { return errors.ErrUnsupported }
func Stop(string) error                                            { return errors.ErrUnsupported }
func Reload(string) error                                          { return errors.ErrUnsupported }
func Serve(string, func(context.Context, Session, *Log) int) error { return errors.ErrUnsupported }
