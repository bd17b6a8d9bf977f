import Core
print(SocketAddress("127.0.0.1:1")!)
