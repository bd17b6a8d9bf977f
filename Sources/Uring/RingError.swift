internal import Glibc

/// Why no ring could be made. Each description is one sentence for an operator.
public enum RingError: Error, Equatable, Sendable {
    /// The administrator's switch: 1 leaves io_uring to privileged processes and a group, 2 to nobody.
    case switchedOff(sysctl: Int)
    /// The switch is on, so something that filters this process's system calls said no.
    case filtered(Errno)
    /// The kernel knows no io_uring at all.
    case notBuiltIn
    /// The kernel has io_uring without a feature used here.
    case kernelTooOld
    case failed(step: String, Errno)

    /// Reads the cause from what the kernel answered to the set-up call.
    ///
    /// - Parameter sysctl: the value of `kernel.io_uring_disabled`, nil where the kernel has no such switch.
    package init(setup code: Errno, sysctl: Int?) {
        switch code {
        case .notPermitted:
            if let sysctl, sysctl > 0 { self = .switchedOff(sysctl: sysctl) } else { self = .filtered(code) }
        case .notImplemented:
            // A kernel that has the switch has io_uring: then a filter answers in its place.
            self = sysctl == nil ? .notBuiltIn : .filtered(code)
        case .invalidArgument: self = .kernelTooOld
        default: self = .failed(step: "io_uring_setup", code)
        }
    }

    /// The value of `kernel.io_uring_disabled`; nil when the kernel is older than the switch.
    static func readSysctl() -> Int? {
        SystemLimits.text(ofFile: "/proc/sys/kernel/io_uring_disabled").flatMap {
            Int($0.split(whereSeparator: \.isWhitespace).first ?? "")
        }
    }
}

extension RingError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .switchedOff(let sysctl):
            "io_uring is switched off on this machine (kernel.io_uring_disabled = \(sysctl)): "
                + "run `sysctl -w kernel.io_uring_disabled=0`, and keep it in /etc/sysctl.d."
        case .filtered(let code):
            "io_uring is blocked for this process (\(code)) although the sysctl kernel.io_uring_disabled allows it: a seccomp "
                + "filter, such as a container's default profile or SystemCallFilter= of a systemd unit, must allow "
                + "io_uring_setup, io_uring_enter and io_uring_register."
        case .notBuiltIn:
            "This kernel has no io_uring, or a seccomp filter hides it: relayd needs Linux 6.1 or newer with CONFIG_IO_URING."
        case .kernelTooOld:
            "This kernel's io_uring lacks features relayd needs: run Linux 6.1 or newer."
        case .failed(let step, let code):
            "io_uring could not be set up: \(step) failed with \(code)."
        }
    }
}
