import Core
import Glibc

/// What `relay-host` was asked for.
struct Options {
    /// Caller and callee of each call, in order of the calls.
    var endpoints: [(caller: SocketAddress, callee: SocketAddress)] = []
    var address = IPAddress.ipv4Loopback
    var firstPort: UInt16 = 10000
    /// The CPU of each worker; as many workers as there are.
    var cpus: [Int] = []
    /// Nil leaves the relay's own value.
    var window: Duration?
    /// Streams pass inside the kernel.
    var isInKernel = false

    /// Nil with a sentence on standard error when the arguments make no sense.
    init?(_ arguments: [String]) {
        guard let endpoints = Self.readEndpoints(), !endpoints.isEmpty else {
            Self.complain(
                """
                usage: relay-host [--address 127.0.0.1] [--first-port 10000] [--cpu K]… [--window-microseconds W] [--kernel yes] < ENDPOINTS
                Standard input has a line `call callerIP:port calleeIP:port` for each call, counting from 0.
                """)
            return nil
        }
        self.endpoints = endpoints
        var rest = arguments[...]
        while let name = rest.popFirst() {
            guard let value = rest.popFirst(), take(name, value) else {
                Self.complain("relay-host: \(name) is unknown, or its value is missing or wrong")
                return nil
            }
        }
    }

    private mutating func take(_ name: String, _ value: String) -> Bool {
        switch name {
        case "--address":
            guard let found = IPAddress(value) else { return false }
            address = found
        case "--first-port":
            guard let found = UInt16(value), found % 2 == 0 else { return false }
            firstPort = found
        case "--cpu":
            guard let found = Int(value) else { return false }
            cpus.append(found)
        case "--window-microseconds":
            guard let found = Int(value) else { return false }
            window = .microseconds(found)
        case "--kernel":
            guard value == "yes" || value == "no" else { return false }
            isInKernel = value == "yes"
        default: return false
        }
        return true
    }

    private static func readEndpoints() -> [(caller: SocketAddress, callee: SocketAddress)]? {
        var endpoints: [(caller: SocketAddress, callee: SocketAddress)] = []
        while let line = readLine() {
            let words = line.split(separator: " ")
            guard words.count == 3, Int(words[0]) == endpoints.count,
                let caller = SocketAddress(String(words[1])), let callee = SocketAddress(String(words[2]))
            else { return nil }
            endpoints.append((caller, callee))
        }
        return endpoints
    }

    static func complain(_ sentence: String) {
        let octets = Array((sentence + "\n").utf8)
        // SAFETY: `write` reads as many octets as the array has.
        _ = unsafe write(STDERR_FILENO, octets, octets.count)
    }
}
