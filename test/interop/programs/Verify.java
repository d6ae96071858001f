import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertPathValidator;
import java.security.cert.CertStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.PKIXRevocationChecker.Option;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/** Verify ROOT INTERMEDIATE LEAF [CRL]: whether Java accepts the path. */
final class Verify {
    private static final CertificateFactory X509 = factory();

    private static CertificateFactory factory() {
        try {
            return CertificateFactory.getInstance("X.509");
        } catch (java.security.cert.CertificateException e) {
            throw new IllegalStateException(e);
        }
    }

    private static X509Certificate certificate(String path) throws Exception {
        try (InputStream in = Files.newInputStream(Path.of(path))) {
            return (X509Certificate) X509.generateCertificate(in);
        }
    }

    /** Only the leaf's state is asked: the root publishes no list. */
    private static void revocation(CertPathValidator validator,
            PKIXParameters how, String path) throws Exception {
        try (InputStream in = Files.newInputStream(Path.of(path))) {
            how.addCertStore(CertStore.getInstance("Collection",
                    new CollectionCertStoreParameters(
                            X509.generateCRLs(in))));
        }
        var checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        checker.setOptions(EnumSet.of(Option.ONLY_END_ENTITY,
                Option.PREFER_CRLS, Option.NO_FALLBACK));
        how.addCertPathChecker(checker);
    }

    public static void main(String[] args) throws Exception {
        List<? extends Certificate> path =
                List.of(certificate(args[2]), certificate(args[1]));
        var how = new PKIXParameters(
                Set.of(new TrustAnchor(certificate(args[0]), null)));
        var validator = CertPathValidator.getInstance("PKIX");
        how.setRevocationEnabled(args.length > 3);
        if (args.length > 3) {
            revocation(validator, how, args[3]);
        }
        validator.validate(X509.generateCertPath(path), how);
    }
}
