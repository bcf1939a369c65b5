#!/bin/sh
# Fills in this folder's files from the environment and starts Asterisk: what the container runs.
set -eu

conf=${CONF:-/etc/asterisk} from=${FROM:-/usr/share/patchcord}
umask 077
mkdir -p "$conf"

need() {
    eval "value=\${$1:-}"
    case $value in
        '') echo "asterisk: set $1 in .env; see docs/phone.md" >&2; exit 64 ;;
        *[!A-Za-z0-9._+@:/-]*) echo "asterisk: $1 may have letters, digits and . _ + @ : / - only" >&2; exit 64 ;;
    esac
}

for name in asterisk modules manager http ari rtp logger pjsip phones; do cp "$from/$name.conf" "$conf/"; done
# Modules look for these and say so when they are not there.
for name in stasis cdr cel udptl features ccss amd; do printf '[general]\n' > "$conf/$name.conf"; done
: > "$conf/acl.conf"
printf '[startup]\nlog_level = 2\n' > "$conf/pjproject.conf"
printf '[general]\ncountry = us\n\n[us]\ndescription = US\nringcadence = 2000,4000\ndial = 350+440\nbusy = 480+620/500,0/500\nring = 440+480/2000,0/4000\ncongestion = 480+620/250,0/250\n' > "$conf/indications.conf"

need PATCHCORD_LINE_SECRET
need PATCHCORD_PHONE_URL
need PATCHCORD_PHONE_AUDIO
sed -e "s|http://127.0.0.1:8000/phone/SECRET|$PATCHCORD_PHONE_URL/phone/$PATCHCORD_LINE_SECRET|" \
    -e "s|AUDIO=127.0.0.1:9092|AUDIO=$PATCHCORD_PHONE_AUDIO|" "$from/extensions.conf" > "$conf/patchcord.conf"
# Instead of AudioSocket: Asterisk's channel for WebSockets (22.6 and later), which paces the sound itself.
if [ -n "${PATCHCORD_PHONE_WEBSOCKET:-}" ]; then
    need PATCHCORD_PHONE_WEBSOCKET
    sed -i 's|TryExec(AudioSocket(${CALL},${AUDIO}))|Dial(WebSocket/patchcord/c(slin)v(uuid=${CALL}),,g)|' "$conf/patchcord.conf"
    printf '[patchcord]\ntype = websocket_client\nconnection_type = per_call_config\nuri = ws://%s/call\nprotocols = media\nconnection_timeout = 1000\nreconnect_attempts = 1\n' \
        "$PATCHCORD_PHONE_WEBSOCKET" > "$conf/websocket_client.conf"
    printf '[global]\n' > "$conf/chan_websocket.conf"
    printf '\nload = res_http_websocket.so\nload = res_websocket_client.so\nload = chan_websocket.so\n' >> "$conf/modules.conf"
fi
printf '#include patchcord.conf\n#include phones.conf\n' > "$conf/extensions.conf"

: > "$conf/pjsip_secrets.conf"
if [ -n "${PATCHCORD_TEST_PHONES:-}" ]; then
    need PATCHCORD_TEST_PHONES
    for phone in 100 101; do
        printf '[phone-%s]\ntype = auth\nauth_type = userpass\nusername = %s\npassword = %s\n\n' \
            "$phone" "$phone" "$PATCHCORD_TEST_PHONES" >> "$conf/pjsip_secrets.conf"
    done
fi
if [ -n "${SIP_PROVIDER:-}" ]; then
    need SIP_PROVIDER
    need SIP_USER
    need SIP_PASSWORD
    sed -e '/^;/d' -e "s|PROVIDER|$SIP_PROVIDER|g" -e "s|= PASSWORD|= $SIP_PASSWORD|" \
        -e "s|= USER$|= $SIP_USER|" -e "s|sip:USER@|sip:$SIP_USER@|" "$from/trunk.example.conf" > "$conf/pjsip_trunk.conf"
else
    : > "$conf/pjsip_trunk.conf"
fi
if [ -n "${SIP_ADDRESS:-}" ]; then
    need SIP_ADDRESS
    sed -i "s|^;PLACE|external_media_address = $SIP_ADDRESS\nexternal_signaling_address = $SIP_ADDRESS\nlocal_net = ${SIP_LOCAL_NET:-172.16.0.0/12}|" "$conf/pjsip.conf"
fi
: > "$conf/manager_secrets.conf"
if [ -n "${PATCHCORD_MANAGER_SECRET:-}" ]; then
    need PATCHCORD_MANAGER_SECRET
    sed -i "s|^bindaddr = .*|bindaddr = ${MANAGER_BIND:-127.0.0.1}|" "$conf/manager.conf"
    printf '[patchcord]\nsecret = %s\nread = call\nwrite = originate,call\ndeny = 0.0.0.0/0.0.0.0\npermit = 127.0.0.0/8\npermit = 10.0.0.0/8\npermit = 172.16.0.0/12\npermit = 192.168.0.0/16\n' \
        "$PATCHCORD_MANAGER_SECRET" > "$conf/manager_secrets.conf"
fi
# Asterisk's REST interface, for calls that an application of your own holds.
: > "$conf/ari_secrets.conf"
if [ -n "${PATCHCORD_REST_PASSWORD:-}" ]; then
    need PATCHCORD_REST_PASSWORD
    sed -i -e 's|^enabled = .*|enabled = yes|' -e "s|^bindaddr = .*|bindaddr = ${REST_BIND:-127.0.0.1}|" "$conf/http.conf"
    sed -i 's|^enabled = .*|enabled = yes|' "$conf/ari.conf"
    printf '[patchcord]\ntype = user\nread_only = no\npassword = %s\n' "$PATCHCORD_REST_PASSWORD" > "$conf/ari_secrets.conf"
    [ -e "$conf/websocket_client.conf" ] || : > "$conf/websocket_client.conf"
    for name in res_http_websocket res_websocket_client res_stasis res_stasis_answer res_stasis_playback \
        res_stasis_recording res_stasis_snoop app_stasis res_ari_model res_ari res_ari_applications res_ari_events \
        res_ari_channels res_ari_bridges chan_audiosocket; do
        printf '\nload = %s.so\n' "$name" >> "$conf/modules.conf"
    done
fi

[ "${1:-}" = --only-write ] && exit 0
exec "${ASTERISK:-asterisk}" -f -n -C "$conf/asterisk.conf"
