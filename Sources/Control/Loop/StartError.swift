package import Configuration
import Core
import Glibc
package import Records
package import Relay
package import TLS
package import Uring

/// Why the daemon could not start. Each description is one sentence for an operator.
package enum StartError: Error, CustomStringConvertible {
    case ring(RingError)
    case relay(RelayStartError)
    case sipSocket(SIPListener, Errno)
    case tls(TLSContext.Failure)
    /// With the key and its value.
    case ngSocket(String, Errno)
    case controlSocket(path: String, Errno)
    case records(RecordError)
    case failed(step: String, Errno)

    package var description: String {
        switch self {
        case .ring(let error): error.description
        case .relay(let error): error.description
        case .sipSocket(let listener, let error) where listener.transport == .udp:
            "The SIP address sip.listen = \(listener.address) could not be bound: \(error)."
        case .sipSocket(let listener, let error): "The SIP address \(listener) of sip.listeners could not be bound: \(error)."
        case .tls(let failure): "TLS for SIP cannot be served: \(failure)."
        case .ngSocket(let setting, let error) where error.code == EADDRINUSE:
            "Another process listens on \(setting): stop it, or change that key."
        case .ngSocket(let setting, let error): "\(setting) could not be bound: \(error)."
        case .controlSocket(let path, let error) where error.code == EADDRINUSE:
            "Another process listens on the control socket \(path): stop it, or set control.socket to another path."
        case .controlSocket(let path, let error): "The control socket \(path) could not be made: \(error)."
        case .records(let error): "\(error)"
        case .failed(let step, let error): "\(step) failed: \(error)."
        }
    }
}

/// Runs `make`, and wraps what it throws.
func attempt<Value: ~Copyable, Failure: Error>(
    _ wrap: (Failure) -> StartError, _ make: () throws(Failure) -> Value
) throws(StartError) -> Value {
    do throws(Failure) {
        return try make()
    } catch {
        throw wrap(error)
    }
}
