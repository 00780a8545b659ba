package store

// Program finds a program or says what to install.
func Program(name, pkg string) (string, error) { return program(name, pkg) }
