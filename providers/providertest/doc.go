// Package providertest is the contract that every kind keeps, as a suite that runs against the real thing in a private
// world. It may import state, state/snapshot and testify, and is for tests only.
package providertest
