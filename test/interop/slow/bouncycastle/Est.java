import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.Security;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.Base64;
import java.util.Set;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.est.ESTAuth;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.HttpAuth;
import org.bouncycastle.est.jcajce.JcaJceUtils;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;

/**
 * Est HOST:PORT ANCHOR LABEL NAME USER PASSWORD: a device's life with Bouncy
 * Castle's client: CA certificates, CSR attributes, enrolment by HTTP Basic
 * (asked for by a 401), renewal by the certificate.  Prints both.
 */
final class Est {
    private static final char[] NONE = new char[0];

    private static ESTService service(String[] args, KeyManager[] keys)
            throws Exception {
        X509Certificate anchor;
        try (InputStream in = Files.newInputStream(Path.of(args[1]))) {
            anchor = (X509Certificate) CertificateFactory
                    .getInstance("X.509").generateCertificate(in);
        }
        var builder = new JsseESTServiceBuilder(args[0],
                JcaJceUtils.getCertPathTrustManager(
                        Set.of(new TrustAnchor(anchor, null)), null));
        if (!args[2].isEmpty()) {
            builder.withLabel(args[2]);
        }
        if (keys != null) {
            builder.withKeyManagers(keys);
        }
        return builder.withTimeout(20000).build();
    }

    private static KeyPair key() throws Exception {
        var generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        return generator.generateKeyPair();
    }

    private static PKCS10CertificationRequest request(String subject, KeyPair k)
            throws Exception {
        return new JcaPKCS10CertificationRequestBuilder(new X500Name(subject),
                k.getPublic()).build(new JcaContentSignerBuilder(
                        "SHA256withECDSA").build(k.getPrivate()));
    }

    private static KeyManager[] identity(KeyPair k, X509Certificate c)
            throws Exception {
        var store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setKeyEntry("device", k.getPrivate(), NONE,
                new Certificate[] {c});
        var factory = KeyManagerFactory.getInstance("PKIX");
        factory.init(store, NONE);
        return factory.getKeyManagers();
    }

    private static X509Certificate enrol(ESTService est, boolean again,
            PKCS10CertificationRequest request, ESTAuth auth)
            throws Exception {
        EnrollmentResponse answer = est.simpleEnroll(again, request, auth);
        X509CertificateHolder[] got = ESTService.storeToArray(
                answer.getStore());
        X509Certificate c = new JcaX509CertificateConverter()
                .getCertificate(got[0]);
        System.out.println("-----BEGIN CERTIFICATE-----\n"
                + Base64.getMimeEncoder().encodeToString(c.getEncoded())
                + "\n-----END CERTIFICATE-----");
        return c;
    }

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        ESTService est = service(args, null);
        est.getCACerts();
        est.getCSRAttributes();
        KeyPair first = key();
        X509Certificate leaf = enrol(est, false,
                request("CN=" + args[3], first),
                new HttpAuth(args[4], args[5].toCharArray()));
        enrol(service(args, identity(first, leaf)), true,
                request("CN=" + args[3], key()), null);
    }
}
