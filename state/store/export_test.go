package store

// Program finds a program or says what to install.
func Program(name, pkg string) (string, error) { return program(name, pkg) }

// Program is a program's path as seen from inside the root.
func (l Layout) Program(self string) string { return l.program(self) }
