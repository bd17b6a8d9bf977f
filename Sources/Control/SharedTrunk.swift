package import Configuration
package import Core

/// A trunk as routes, calls and branches refer to it. A reload makes new ones; calls keep what they began with.
package typealias SharedTrunk = Boxed<Trunk>
