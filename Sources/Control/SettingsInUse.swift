import Configuration
import Core

/// The configuration that call control follows, with what each call asks for made ready: a new one when it changes.
///
/// A reference, because a configuration has kilobytes, and who calls a method of one would copy it.
final class SettingsInUse: Sendable {
    let configuration: Configuration
    /// Whole lines: who we are, in answers and in requests.
    let serverLine: [UInt8]
    let userAgentLine: [UInt8]
    private let ipv4Media: MediaAddresses?
    private let ipv6Media: MediaAddresses?
    /// Where there is no socket of the peer's family.
    let otherMedia: MediaAddresses

    /// Where the media sockets towards a peer are, and what it is told.
    struct MediaAddresses: BitwiseCopyable {
        let address: IPAddress
        let advertised: IPAddress
    }

    init(_ configuration: Configuration) {
        self.configuration = configuration
        let name = configuration.sip.userAgent.filter { $0 != "\r" && $0 != "\n" && $0 != "\r\n" }
        serverLine = Array("Server: \(name)\r\n".utf8)
        userAgentLine = Array("User-Agent: \(name)\r\n".utf8)
        func media(_ family: IPAddress.Family) -> MediaAddresses? {
            configuration.mediaInterface(for: family).map { MediaAddresses(address: $0.address, advertised: $0.advertised) }
        }
        ipv4Media = media(.ipv4)
        ipv6Media = media(.ipv6)
        otherMedia = MediaAddresses(address: configuration.mediaAddress, advertised: configuration.advertisedMediaAddress)
    }

    /// Nil when the family is not served.
    func mediaAddresses(for family: IPAddress.Family) -> MediaAddresses? { family == .ipv4 ? ipv4Media : ipv6Media }

    /// How long each stage of a call to this trunk may take.
    func timers(for trunk: SharedTrunk) -> SetupTimers { configuration.timers(for: trunk.value) }
}
