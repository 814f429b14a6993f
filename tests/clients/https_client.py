"""Asks the admin API over TLS: https_client.py HOST PORT PATH CA TOKEN [CERTIFICATE KEY]

Says the status, or "refused" if there is no answer. A TOKEN of "-" is none.
"""

import http.client
import ssl
import sys

host, port, path, ca, token = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
context = ssl.create_default_context(cafile=ca)
if len(sys.argv) > 6:
    context.load_cert_chain(sys.argv[6], sys.argv[7])
connection = http.client.HTTPSConnection(host, port, context=context, timeout=30)
try:
    connection.request("GET", path, headers={} if token == "-" else {"authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    body = answer.read()
    assert len(body) == int(answer.getheader("content-length")), (len(body), answer.headers)
    print(answer.status)
except ssl.SSLCertVerificationError:
    print("not believed")
except (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected):
    print("refused")
finally:
    connection.close()
