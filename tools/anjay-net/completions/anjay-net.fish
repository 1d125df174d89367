# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_anjay_net_global_optspecs
    string join \n json h/help V/version
end

function __fish_anjay_net_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_anjay_net_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_anjay_net_using_subcommand
    set -l cmd (__fish_anjay_net_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c anjay-net -n "__fish_anjay_net_needs_command" -l json -d 'Print JSON'
complete -c anjay-net -n "__fish_anjay_net_needs_command" -s h -l help -d 'Print help'
complete -c anjay-net -n "__fish_anjay_net_needs_command" -s V -l version -d 'Print version'
complete -c anjay-net -n "__fish_anjay_net_needs_command" -f -a "probe" -d 'Look at every address of a server: route, source address, MTU, CoAP ping over UDP and TCP, and which one a client would take'
complete -c anjay-net -n "__fish_anjay_net_needs_command" -f -a "resolve" -d 'List the addresses of a host in the order in which a client tries them'
complete -c anjay-net -n "__fish_anjay_net_needs_command" -f -a "watch" -d 'Show the statistics of a running client, from the file that its anjay_net_stats_write() writes'
complete -c anjay-net -n "__fish_anjay_net_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c anjay-net -n "__fish_anjay_net_using_subcommand probe" -l count -d 'How many pings over each transport to each address' -r
complete -c anjay-net -n "__fish_anjay_net_using_subcommand probe" -l only -d 'This transport only' -r -f -a "udp\t''
tcp\t''"
complete -c anjay-net -n "__fish_anjay_net_using_subcommand probe" -l timeout -d 'Seconds that a lookup, a TCP handshake and each answer may take' -r
complete -c anjay-net -n "__fish_anjay_net_using_subcommand probe" -l json -d 'Print JSON'
complete -c anjay-net -n "__fish_anjay_net_using_subcommand probe" -s h -l help -d 'Print help'
complete -c anjay-net -n "__fish_anjay_net_using_subcommand resolve" -l timeout -d 'Seconds that a lookup, a TCP handshake and each answer may take' -r
complete -c anjay-net -n "__fish_anjay_net_using_subcommand resolve" -l json -d 'Print JSON'
complete -c anjay-net -n "__fish_anjay_net_using_subcommand resolve" -s h -l help -d 'Print help'
complete -c anjay-net -n "__fish_anjay_net_using_subcommand watch" -l interval -d 'Seconds between two looks at the file' -r
complete -c anjay-net -n "__fish_anjay_net_using_subcommand watch" -l count -d 'Stop after so many looks; without it, go on' -r
complete -c anjay-net -n "__fish_anjay_net_using_subcommand watch" -l json -d 'Print JSON'
complete -c anjay-net -n "__fish_anjay_net_using_subcommand watch" -s h -l help -d 'Print help'
complete -c anjay-net -n "__fish_anjay_net_using_subcommand help; and not __fish_seen_subcommand_from probe resolve watch help" -f -a "probe" -d 'Look at every address of a server: route, source address, MTU, CoAP ping over UDP and TCP, and which one a client would take'
complete -c anjay-net -n "__fish_anjay_net_using_subcommand help; and not __fish_seen_subcommand_from probe resolve watch help" -f -a "resolve" -d 'List the addresses of a host in the order in which a client tries them'
complete -c anjay-net -n "__fish_anjay_net_using_subcommand help; and not __fish_seen_subcommand_from probe resolve watch help" -f -a "watch" -d 'Show the statistics of a running client, from the file that its anjay_net_stats_write() writes'
complete -c anjay-net -n "__fish_anjay_net_using_subcommand help; and not __fish_seen_subcommand_from probe resolve watch help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
