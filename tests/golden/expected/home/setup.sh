#!/bin/sh
# Makes the home server of hearth.example, stove.example send and receive through the relay mail.brightmail.example.
# Written by: relay-wizard home DIR. Read it, then run it on the home server as root, as often as you like:
#
#   sh setup.sh                        asks for the password of the login home
#   sh setup.sh --password-file FILE   reads it from the first line of FILE
#
# It changes main.cf and master.cf by postconf(1) alone, says each change, keeps every other setting, and leaves a copy
# of both as they were before its first run: *.before-relay-wizard. How to undo it is in README.md.
set -euf

RELAY=mail.brightmail.example
RELAY_ADDRESSES='192.0.2.10 2001:db8:2::10'
LOGIN=home
DOMAINS='hearth.example stove.example'
PORT=10025

HERE=$(cd "$(dirname "$0")" && pwd)
PASSWORDS=/etc/postfix/relay-wizard-password
CLIENTS=/etc/postfix/relay-wizard-relay.cidr
AUTHORITY=/etc/postfix/relay-wizard-ca.pem
CERTIFICATE=/etc/postfix/relay-wizard-home.pem
CHANGED=no
PASSWORD_FILE=

say() { printf '%s\n' "$*"; }
die() { printf 'setup.sh: %s\n' "$*" >&2; exit 1; }
changed() { say "  $*"; CHANGED=yes; }

# What is set in main.cf; and set it, when it is something else.
parameter() { postconf -h "$1" 2>/dev/null; }
set_parameter() {
    if [ "$(parameter "$1")" != "$2" ]; then
        changed "main.cf: $1 = $2   (was: $(parameter "$1"))"
        postconf -e "$1 = $2"
    fi
}

# An entry of master.cf, and one -o setting of it.
has_service() { [ -n "$(postconf -M "$1" 2>/dev/null)" ]; }
add_service() {
    if ! has_service "$1"; then
        changed "master.cf: $2"
        postconf -M "$1=$2"
    fi
}
option() { postconf -P "$1/$2" 2>/dev/null | sed 's/^[^=]*= *//'; }
set_option() {
    if [ -z "$(postconf -P "$1/$2" 2>/dev/null)" ] || [ "$(option "$1" "$2")" != "$3" ]; then
        changed "master.cf: $1: -o $2=$3"
        postconf -P "$1/$2=$3"
    fi
}

# Put standard input into a file with this mode, when it holds something else.
write_file() {
    umask 077
    cat > "$1.new"
    chmod "$2" "$1.new"
    if cmp -s "$1.new" "$1" && [ "$(stat -c %a "$1")" = "$2" ]; then
        rm "$1.new"
    else
        mv "$1.new" "$1"
        changed "wrote $1"
    fi
    umask 022
}

first_of() {
    for path in "$@"; do
        if [ -e "$path" ]; then say "$path"; return; fi
    done
}

need_postfix() {
    [ "$(id -u)" = 0 ] || die "run it as root"
    command -v postconf > /dev/null || die "there is no Postfix here: install it first (apt-get install postfix)"
    for file in main.cf master.cf; do
        [ -e "/etc/postfix/$file.before-relay-wizard" ] ||
            cp -p "/etc/postfix/$file" "/etc/postfix/$file.before-relay-wizard"
    done
}

# Postfix needs a plug-in of Cyrus SASL to log in somewhere.
need_login_plugin() {
    if command -v dpkg-query > /dev/null; then
        status=$(dpkg-query -W -f '${db:Status-Status}' libsasl2-modules 2>/dev/null || true)
        if [ "$status" != installed ]; then
            changed "install libsasl2-modules"
            DEBIAN_FRONTEND=noninteractive apt-get -y -q install libsasl2-modules > /dev/null ||
                die "could not install libsasl2-modules; install it by hand, then run this again"
        fi
    elif command -v rpm > /dev/null && ! rpm -q cyrus-sasl-plain > /dev/null; then
        changed "install cyrus-sasl-plain"
        dnf -y -q install cyrus-sasl-plain || die "could not install cyrus-sasl-plain; install it by hand"
    fi
}

# The password goes from the file or the keyboard into a file that only root reads; never into a command's words.
keep_password() {
    password=
    if [ -n "$PASSWORD_FILE" ]; then
        [ -r "$PASSWORD_FILE" ] || die "$PASSWORD_FILE cannot be read"
        IFS= read -r password < "$PASSWORD_FILE" || [ -n "$password" ] || die "$PASSWORD_FILE is empty"
    elif [ -s "$PASSWORDS" ]; then
        say "  the password in $PASSWORDS stays (another one: --password-file FILE)"
        return
    else
        [ -t 0 ] || die "there is no terminal to ask for the password: use --password-file FILE"
        printf 'Password of the login %s at %s: ' "$LOGIN" "$RELAY"
        trap 'stty echo' EXIT INT TERM
        stty -echo
        IFS= read -r password
        stty echo
        trap - EXIT INT TERM
        printf '\n'
    fi
    case $password in
        '') die "the password is empty" ;;
        ' '* | *' ' | *"	"*) die "the password begins or ends with a space, or holds a tab: choose another" ;;
    esac
    printf '[%s]:465 %s:%s\n' "$RELAY" "$LOGIN" "$password" | write_file "$PASSWORDS" 600
}

# Whose signature on the relay's certificate is believed.
trusted_authorities() {
    if [ -e "$HERE/ca.pem" ]; then
        write_file "$AUTHORITY" 644 < "$HERE/ca.pem"
        AUTHORITIES=$AUTHORITY
        return
    fi
    AUTHORITIES=$(first_of /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt)
    [ -n "$AUTHORITIES" ] || die "there is no list of certificate authorities: install the package ca-certificates"
}

# Out: all mail that is not for here goes to the relay's port 465, with the login, encrypted, to the right server only.
# A transport of its own keeps these settings away from everything else that home sends.
send_through_relay() {
    add_service relay-wizard/unix "relay-wizard unix - - n - - smtp"
    set_option relay-wizard/unix syslog_name postfix/relay-wizard
    set_option relay-wizard/unix smtp_tls_wrappermode yes
    set_option relay-wizard/unix smtp_tls_security_level secure
    set_option relay-wizard/unix smtp_tls_CAfile "$AUTHORITIES"
    set_option relay-wizard/unix smtp_sasl_auth_enable yes
    set_option relay-wizard/unix smtp_sasl_password_maps "texthash:$PASSWORDS"
    set_option relay-wizard/unix smtp_sasl_security_options noanonymous
    set_parameter default_transport relay-wizard
    set_parameter relayhost "[$RELAY]:465"
}

# In: a port that only the relay may use. What home asks of strangers (SPF, block lists) would judge the relay instead of
# the real sender: the relay has asked it already, so here only the recipient is asked for.
receive_from_relay() {
    for address in $RELAY_ADDRESSES; do say "$address OK"; done | write_file "$CLIENTS" 644
    if [ "$PORT" = 25 ]; then
        return
    fi
    entry=$PORT/inet
    if has_service "$entry" && [ "$(option "$entry" syslog_name)" != postfix/from-relay ]; then
        say "  master.cf has an entry for port $PORT of its own: it stays as it is"
        return
    fi
    chroot=$(postconf -F smtp/inet/chroot 2>/dev/null | sed 's/^[^=]*= *//')
    add_service "$entry" "$PORT inet n - ${chroot:-n} - - smtpd"
    set_option "$entry" syslog_name postfix/from-relay
    set_option "$entry" smtpd_client_restrictions "check_client_access,cidr:$CLIENTS,reject"
    set_option "$entry" smtpd_helo_restrictions ""
    set_option "$entry" smtpd_sender_restrictions ""
    set_option "$entry" smtpd_relay_restrictions reject_unauth_destination
    set_option "$entry" smtpd_recipient_restrictions ""
    set_option "$entry" smtpd_sasl_auth_enable no
    encrypt_listener "$entry"
    case $(postconf -hx inet_interfaces) in
        localhost | loopback-only | 127.0.0.1)
            say "  ! Postfix listens on loopback only. To take mail from the relay: postconf -e 'inet_interfaces = all'"
            say "    and restart it." ;;
    esac
}

# The relay encrypts when it is offered to; whose certificate it is does not matter there, a self-signed one will do.
encrypt_listener() {
    if [ -n "$(parameter smtpd_tls_security_level)" ] && [ "$(parameter smtpd_tls_security_level)" != none ]; then
        return
    fi
    if [ ! -s "$CERTIFICATE" ]; then
        command -v openssl > /dev/null || { say "  ! without openssl there is no certificate: mail comes in clear"; return; }
        openssl req -x509 -newkey rsa:2048 -nodes -days 7300 -subj "/CN=$(parameter myhostname)" \
            -keyout "$CERTIFICATE.key" -out "$CERTIFICATE.crt" 2> /dev/null
        cat "$CERTIFICATE.key" "$CERTIFICATE.crt" | write_file "$CERTIFICATE" 600
        rm "$CERTIFICATE.key" "$CERTIFICATE.crt"
    fi
    set_option "$1" smtpd_tls_security_level may
    set_option "$1" smtpd_tls_cert_file "$CERTIFICATE"
    set_option "$1" smtpd_tls_key_file "$CERTIFICATE"
}

# The SPF policy agent, where home has one, must not judge the relay either, on whichever port it comes.
exempt_from_spf() {
    file=$(first_of /etc/postfix-policyd-spf-python/policyd-spf.conf /etc/python-policyd-spf/policyd-spf.conf)
    [ -n "$file" ] || return 0
    for address in $RELAY_ADDRESSES; do
        case $address in *:*) network=$address/128 ;; *) network=$address/32 ;; esac
        if grep -q "^Whitelist *=.*$network" "$file"; then
            continue
        elif grep -q '^Whitelist *=' "$file"; then
            sed -i "s|^Whitelist *=.*|&,$network|" "$file"
        else
            printf 'Whitelist = %s\n' "$network" >> "$file"
        fi
        changed "$file: Whitelist with $network"
    done
}

# True when Postfix takes mail for this domain already, by name or by a map.
is_ours() {
    for name in mydestination virtual_alias_domains virtual_mailbox_domains relay_domains; do
        for word in $(postconf -hx "$name" 2>/dev/null | tr , ' '); do
            case $word in
                "$1") return 0 ;;
                *:*) [ -z "$(postmap -q "$1" "$word" 2>/dev/null)" ] || return 0 ;;
            esac
        done
    done
    return 1
}

# A domain that home did not take would go back to the relay, and round and round.
own_domains() {
    for domain in $DOMAINS; do
        is_ours "$domain" || set_parameter mydestination "$(parameter mydestination), $domain"
    done
}

# The relay takes mail from home's domains only; what the machine itself sends should come from one of them.
look_at_sender() {
    origin=$(postconf -hx myorigin)
    case $origin in /*) origin=$(head -n 1 "$origin" 2>/dev/null || true) ;; esac
    for domain in $DOMAINS; do
        [ "$origin" != "$domain" ] || return 0
    done
    say "  ! Mail of this machine itself comes from $origin, which the relay refuses. Consider:"
    say "    postconf -e 'myorigin = ${DOMAINS%% *}'"
}

take_effect() {
    complaints=$(postconf -n 2>&1 > /dev/null)
    [ -z "$complaints" ] || say "  Postfix says: $complaints"
    postfix check || die "Postfix does not like its configuration; the copies of before are in /etc/postfix"
    if ! postfix status > /dev/null 2>&1; then
        changed "start Postfix"
        systemctl start postfix 2>/dev/null || postfix start
    elif [ "$CHANGED" = yes ]; then
        postfix reload
    fi
}

while [ $# -gt 0 ]; do
    case $1 in
        --password-file) [ $# -ge 2 ] || die "--password-file wants a file"; PASSWORD_FILE=$2; shift 2 ;;
        *) die "unknown word $1; usage: sh setup.sh [--password-file FILE]" ;;
    esac
done

say "Home of $DOMAINS behind $RELAY:"
need_postfix
need_login_plugin
keep_password
trusted_authorities
send_through_relay
receive_from_relay
exempt_from_spf
own_domains
look_at_sender
take_effect
if [ "$CHANGED" = no ]; then
    say "Nothing had to be changed."
else
    say "Done. Let your router pass TCP port $PORT from the relay on to this machine, and see README.md."
fi
