#include "toroni/os/multicast.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "toroni/os/failure.hpp"

namespace toroni::os {

namespace {

Descriptor open_socket() {
    Descriptor opened(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (opened.get() < 0) fail("make a socket for notifications");
    return opened;
}

std::string dotted(std::uint32_t address) {
    char text[INET_ADDRSTRLEN] = "";
    const in_addr binary{address};
    inet_ntop(AF_INET, &binary, text, sizeof text);
    return text;
}

std::string through(const MulticastAddress& address) {
    return "send notifications by multicast through the interface of " + dotted(address.interface) +
           " (is it there, and up, in this network namespace?)";
}

template <class Value>
void set_option(const Descriptor& socket, int level, int option, const Value& value, const std::string& what) {
    if (setsockopt(socket.get(), level, option, &value, sizeof value) != 0) fail(what);
}

sockaddr_in group_of(const MulticastAddress& address) {
    sockaddr_in group{};
    group.sin_family = AF_INET;
    group.sin_port = address.port;
    group.sin_addr.s_addr = address.group;
    return group;
}

}  // namespace

MulticastSender::MulticastSender(const MulticastAddress& address) : socket_(open_socket()) {
    ip_mreqn interface{};
    interface.imr_address.s_addr = address.interface;
    set_option(socket_, IPPROTO_IP, IP_MULTICAST_IF, interface, through(address));
    set_option(socket_, IPPROTO_IP, IP_MULTICAST_TTL, 0, "keep notifications on this machine");
    set_option(socket_, IPPROTO_IP, IP_MULTICAST_LOOP, 1, "let this machine hear notifications");
    const sockaddr_in group = group_of(address);
    if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&group), sizeof group) != 0) {
        fail(through(address));
    }
}

void MulticastSender::send() const noexcept { static_cast<void>(::send(socket_.get(), "", 0, MSG_DONTWAIT)); }

MulticastReceiver::MulticastReceiver(const MulticastAddress& address) : socket_(open_socket()) {
    set_option(socket_, SOL_SOCKET, SO_REUSEADDR, 1, "share the port of notifications");
    const sockaddr_in group = group_of(address);  // bound to the group: nothing else at that port is heard
    if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&group), sizeof group) != 0) {
        fail("listen for notifications at " + dotted(address.group));
    }
    set_option(socket_, IPPROTO_IP, IP_MULTICAST_ALL, 0, "hear only the groups that were joined");
    ip_mreqn membership{};
    membership.imr_multiaddr.s_addr = address.group;
    membership.imr_address.s_addr = address.interface;
    set_option(socket_, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership,
               "join the group of notifications on the interface of " + dotted(address.interface));
}

void MulticastReceiver::drain() const noexcept {
    constexpr int most = 4096;  // a flood must not keep us
    char byte = 0;
    for (int i = 0; i < most && recv(socket_.get(), &byte, sizeof byte, MSG_DONTWAIT) >= 0; ++i) {
    }
}

}  // namespace toroni::os
