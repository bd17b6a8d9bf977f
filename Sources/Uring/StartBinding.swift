internal import Glibc

/// Binds at start, when nothing is served yet: a port that the last process has not given back is tried again for two
/// seconds. The kernel tells nobody when a port becomes free, so this waits in steps.
func bindingAtStart<Socket: ~Copyable>(_ bind: () throws(Errno) -> Socket) throws(Errno) -> Socket {
    for _ in 0..<40 {
        do throws(Errno) {
            return try bind()
        } catch {
            guard error == .addressInUse else { throw error }
            usleep(50_000)
        }
    }
    return try bind()
}
