// Package ovsdb is a client of the Open vSwitch Database Management Protocol (RFC 7047): JSON-RPC 1.0 over one stream, whose replies nothing
// separates, and on which the server asks too (echo). It implements nothing of a schema but how ovs-vswitchd says that it has done what is
// configured (ovs-vswitchd.conf.db(5), next_cfg and cur_cfg). It may import the standard library.
//
// Values are those of RFC 7047, 5.1: string, int64, float64, bool, UUID, Named, Set and Map. What the server sends as a lone atom where a
// set of one may stand is given as that atom: Elements makes a list of either.
package ovsdb
