import Configuration
import Core
import SIP

extension Configuration.SIP {
    /// The addresses SIP is received on, as messages name them.
    var endpoints: LocalEndpoints {
        LocalEndpoints(allListeners.map { .init($0.transport, $0.address, advertised: advertised($0)) })
    }
}
