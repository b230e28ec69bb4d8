<resource schema="ls_dr9" resdir=".">
  <meta name="creationDate">2026-11-24T00:00:00Z</meta>
  <meta name="title">Simulated Tractor catalogue</meta>
  <meta name="description">Simulated sources with the columns of the Legacy Surveys' DR9.</meta>
  <meta name="subject">surveys</meta>
  <meta name="creator">shredfinder's tests</meta>

  <table id="tractor" onDisk="True" adql="True" mixin="//scs#q3cindex" primary="ls_id">
    <column name="ls_id" type="bigint" required="True" ucd="meta.id;meta.main"
      description="Unique identifier of the source"/>
    <column name="ra" type="double precision" unit="deg" ucd="pos.eq.ra;meta.main"
      description="Right ascension"/>
    <column name="dec" type="double precision" unit="deg" ucd="pos.eq.dec;meta.main"
      description="Declination"/>
    <column name="type" type="text" ucd="meta.code.class" description="Morphological type"/>
    <column name="ref_cat" type="text" description="Reference catalogue"/>
    <column name="shape_r" unit="arcsec" ucd="phys.angSize" description="Half-light radius"/>
    <column name="shape_r_ivar" description="Inverse variance of the radius"/>
    <LOOP listItems="g r z"><events>
      <column name="flux_\item" ucd="phot.flux;em.opt" description="Flux in \item, nanomaggies"/>
      <column name="flux_ivar_\item" description="Inverse variance of the flux in \item"/>
      <column name="mw_transmission_\item" description="Galactic transmission in \item"/>
      <column name="dered_mag_\item" unit="mag" description="Dereddened magnitude in \item"/>
      <column name="nobs_\item" type="smallint" required="True" description="Images in \item"/>
      <column name="allmask_\item" type="smallint" required="True" description="Bits in \item"/>
      <column name="fracmasked_\item" description="Masked fraction in \item"/>
      <column name="fracflux_\item" description="Fraction of others' flux in \item"/>
      <column name="rchisq_\item" description="Reduced chi squared in \item"/>
      <column name="fracin_\item" description="Fraction of flux in the blob in \item"/>
    </events></LOOP>
  </table>
  <data id="import">
    <sources pattern="data/tractor.csv"/>
    <csvGrammar/>
    <make table="tractor"><rowmaker idmaps="*"/></make>
  </data>
</resource>
