// Package live is tests only: opdbus with real services of a machine that has booted. Its tests import internal/machine.
package live
