//go:build !unix

package main

// give has nothing to do: the process stays who it is.
func give(string, string) error { return nil }
