import Configuration
import Core
import SIP

extension Configuration.SIP {
    /// The addresses SIP is received on, as messages name them.
    var endpoints: LocalEndpoints { LocalEndpoints([.init(.udp, listen, advertised: advertised)]) }
}
